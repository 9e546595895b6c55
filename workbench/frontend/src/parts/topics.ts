/** The part with the list of topics and projects. */

import topicsSidebar from "../widgets/topics_sidebar.css";

export { TopicsPanel } from "../widgets/topics_panel";
export const styles = [topicsSidebar];

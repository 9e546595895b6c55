/** For tests of widgets: all parts are there, as in a page that has come to rest. */

import { page } from "../src/parts";
import * as dialogs from "../src/parts/dialogs";
import * as feed from "../src/parts/feed";
import * as lightbox from "../src/parts/lightbox";
import * as settings from "../src/parts/settings";
import * as topics from "../src/parts/topics";

page.of("dialogs").put(dialogs);
page.of("feed").put(feed);
page.of("lightbox").put(lightbox);
page.of("settings").put(settings);
page.of("topics").put(topics);

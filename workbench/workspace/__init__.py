"""The Python face: Workspace, Topic, Batch, Generation, Asset, frames. Puts the rooms together."""

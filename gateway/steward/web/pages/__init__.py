"""The crew's pages: server-rendered, in the viewer's language, over cookies of a session and nothing else."""

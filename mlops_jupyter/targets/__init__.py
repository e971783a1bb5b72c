"""Where deployments are served: one file per target."""

"""The model server: transport (protocol, process) → data plane (app, forms, inference) → repository → model."""

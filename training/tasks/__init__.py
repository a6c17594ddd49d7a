"""What is learned: how a model is built from hyper-parameters, its loss and its metrics."""

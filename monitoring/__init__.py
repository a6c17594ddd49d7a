"""What the platform says of itself over time: logs kept by age, features held against those that a model was trained on."""

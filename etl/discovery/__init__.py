"""What the data says about itself: candidates for extraction rules, found by statistics."""

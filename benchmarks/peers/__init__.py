"""The peers' own environments, as ``make bench-setup`` makes them."""

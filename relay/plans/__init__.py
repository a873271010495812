"""What people do with a plan before it is armed: check, show, price, draw (plans SPEC)."""

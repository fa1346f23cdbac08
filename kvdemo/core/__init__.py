"""Plain data and rules, standard library only: what a lane yields, what a race asks for, numbers as text."""

"""What people see of a command: text that any terminal can show, and how far the work is."""

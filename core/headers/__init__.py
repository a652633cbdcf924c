"""What weights say of themselves: their header, and in it the pictures they were trained on."""

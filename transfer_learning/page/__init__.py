"""The page of `ae-pretrained app`: what it finds in a picture, and how that is shown, kept and served."""

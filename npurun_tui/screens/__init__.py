"""What the person sees: one module for each tab and each dialog box. No input or output of their own."""

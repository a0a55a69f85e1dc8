"""What makes a fake of a real face. Enters: face crops. Leaves: fakes and their latents."""

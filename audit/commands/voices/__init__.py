"""Commands about voices: trials from clips, the training of verifiers, the demo."""

"""What `import audit` offers and every command calls. Enters: paths, frames, options. Leaves: `Audit`."""

"""assay: eval infrastructure for AI agents."""

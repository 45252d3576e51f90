"""Class Eval: the one place where dataset, harness, judges, plan, runner and report meet."""

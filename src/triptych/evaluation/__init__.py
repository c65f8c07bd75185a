"""Measuring: suites of pages, scores with intervals, controls and baselines, reports."""

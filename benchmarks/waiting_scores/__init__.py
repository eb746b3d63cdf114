"""How good an estimate of waits is: errors, coverage, calibration, with intervals over days."""

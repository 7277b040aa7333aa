"""Tests of `edge`: how bytes come and go."""

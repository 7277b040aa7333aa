"""Tests of `edge.graphql`."""

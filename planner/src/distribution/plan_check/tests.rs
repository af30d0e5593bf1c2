//! Each rule once where it fires and once where it does not, and the plans of TPC-H.

mod built;
mod rules;
mod tpch;

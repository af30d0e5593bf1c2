//! flight-service

//! The routes for OpenG2P's clients, asked as these ask.

mod find;

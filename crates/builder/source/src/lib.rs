//! Opens an input and answers with a tree.

//! Model files, tokenizers, chat templates and the native engine.

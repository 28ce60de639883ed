//! What was used last, up to a number of values.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// A map that forgets what was not used for longest. Values are cheap to clone; the lock is held for a look-up only, never while a
/// value is made, so that two threads may make the same value.
pub(crate) struct Cache<V> {
    capacity: usize,
    state: Mutex<State<V>>,
}

struct State<V> {
    /// Each value with the time of its last use.
    values: BTreeMap<u64, (u64, V)>,
    /// Times of use, oldest first, with the key that was used.
    uses: BTreeMap<u64, u64>,
    /// Counts uses.
    now: u64,
}

impl<V: Clone> Cache<V> {
    /// A cache of `capacity` values.
    pub(crate) fn new(capacity: usize) -> Self {
        let state = State {
            values: BTreeMap::new(),
            uses: BTreeMap::new(),
            now: 0,
        };
        Self {
            capacity,
            state: Mutex::new(state),
        }
    }

    /// The value of `key`, made by `make` where it is not there.
    pub(crate) fn get<E>(&self, key: u64, make: impl FnOnce() -> Result<V, E>) -> Result<V, E> {
        if let Some(value) = self.find(key) {
            return Ok(value);
        }
        let value = make()?;
        self.put(key, value.clone());
        Ok(value)
    }

    /// The value of `key`, where it is there.
    pub(crate) fn find(&self, key: u64) -> Option<V> {
        let mut guard = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *guard;
        let (used, value) = state.values.get_mut(&key)?;
        if *used != state.now {
            state.now = state.now.wrapping_add(1);
            state.uses.remove(used);
            state.uses.insert(state.now, key);
            *used = state.now;
        }
        Some(value.clone())
    }

    fn put(&self, key: u64, value: V) {
        let mut guard = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *guard;
        state.now = state.now.wrapping_add(1);
        if let Some((used, _)) = state.values.insert(key, (state.now, value)) {
            state.uses.remove(&used);
        }
        state.uses.insert(state.now, key);
        while state.values.len() > self.capacity {
            let Some((_, oldest)) = state.uses.pop_first() else {
                return;
            };
            state.values.remove(&oldest);
        }
    }
}

impl<V> fmt::Debug for Cache<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_for_longest_is_forgotten() {
        let cache = Cache::new(2);
        let get = |key: u64| {
            let mut made = false;
            let make = || {
                made = true;
                Ok::<_, ()>(key)
            };
            assert_eq!(cache.get(key, make), Ok(key));
            made
        };
        let made: Vec<bool> = [1, 2, 1, 3, 1, 2, 2, 3, 1].into_iter().map(get).collect();
        let expected = [true, true, false, true, false, true, false, true, true];
        assert_eq!(made, expected);
        let state = cache.state.lock().unwrap();
        assert_eq!((state.values.len(), state.uses.len()), (2, 2));
    }
}

// SPDX-License-Identifier: GPL-2.0
//! Whether a file that is opened again, perhaps on another server, is the one that was open.
//!
//! On servers of one storage the file's number and age say so. (A server that knows no time of creation
//! gives the oldest of the others instead, which moves when the file is written to or read: that is
//! recognised.) On replicas, which number files as they like, its age, size and time do, as far as they are
//! known and tell different things: what was written to a file since a server told them has changed both,
//! and a replica that shows the old ones lacks what was written.

/// What a server says of a file when it is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Face {
    /// The server's number for it; 0 if it has none.
    pub id: u64,
    /// When it was made, in 100 ns since 1601.
    pub birth: u64,
    /// End of file, in bytes.
    pub size: u64,
    /// When it was written to last, in 100 ns since 1601.
    pub write: u64,
    /// The oldest of its other times: if `birth` is that, it may not be more than that.
    pub oldest: u64,
    /// It is a directory.
    pub dir: bool,
}

impl Face {
    /// Whether `birth` may be made up.
    fn is_vague(&self) -> bool {
        self.birth == self.oldest
    }
}

/// How alike two files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// One file, or a replica of it.
    Same,
    /// Of the same kind and size.
    Similar,
    /// Neither.
    Other,
}

/// What a file must be like to stand for the one that was open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The same.
    Strict,
    /// At least similar.
    SameSize,
    /// Any file of that name.
    Any,
}

impl Rule {
    /// Whether a file that is so alike will do.
    pub fn accepts(self, likeness: Likeness) -> bool {
        match self {
            Rule::Strict => likeness == Likeness::Same,
            Rule::SameSize => likeness != Likeness::Other,
            Rule::Any => true,
        }
    }

    /// What this word stands for.
    pub fn named(word: &str) -> Option<Self> {
        [Rule::Strict, Rule::SameSize, Rule::Any]
            .into_iter()
            .find(|rule| rule.name() == word)
    }

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Rule::Strict => "strict",
            Rule::SameSize => "same-size",
            Rule::Any => "any",
        }
    }
}

/// What is known of a file that is open.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    face: Face,
    /// Whose numbers they are: tells one share of a server from others.
    origin: u64,
    /// Counts what was written to it.
    writes: u64,
    /// Nothing was written since `face` was told: its size and time hold.
    settled: bool,
}

impl Known {
    /// As the server `origin` has just told.
    pub fn new(face: Face, origin: u64) -> Self {
        Known {
            face,
            origin,
            writes: 0,
            settled: true,
        }
    }

    /// Goes with a question for the attributes, to [`Self::learn`] with the answer.
    pub fn mark(&self) -> u64 {
        self.writes
    }

    /// `origin` has answered a question that was asked at `mark`.
    pub fn learn(&mut self, face: Face, origin: u64, mark: u64) {
        let size = self.face.size;
        self.settled = self.writes == mark;
        self.face = face;
        self.origin = origin;
        if !self.settled {
            self.face.size = size.max(face.size);
        }
    }

    /// The server has carried out a write that ends at `end`.
    pub fn wrote(&mut self, end: u64) {
        self.face.size = self.face.size.max(end);
        self.stir();
    }

    /// The server has set the file's size.
    pub fn resized(&mut self, size: u64) {
        self.face.size = size;
        self.stir();
    }

    fn stir(&mut self) {
        self.writes = self.writes.wrapping_add(1);
        self.settled = false;
    }

    /// How alike is what `origin` shows now?
    pub fn compare(&self, found: &Face, origin: u64) -> Likeness {
        let known = &self.face;
        if known.dir != found.dir {
            return Likeness::Other;
        }
        let numbered = known.id != 0 && found.id != 0;
        let same_id = numbered && known.id == found.id;
        let same_age = known.birth == found.birth;
        let moved = known.birth < found.birth && known.is_vague() && found.is_vague();
        let same_content = (known.size, known.write) == (found.size, found.write);
        if same_id && (same_age || moved) {
            return Likeness::Same;
        }
        // One server has one number for one file.
        let another = numbered && self.origin == origin;
        // A file as old as its last write has one time, not two, which anybody may have set.
        let dated = known.birth != known.write;
        if same_age && dated && self.settled && same_content && !another {
            return Likeness::Same;
        }
        match known.size == found.size {
            true => Likeness::Similar,
            false => Likeness::Other,
        }
    }
}

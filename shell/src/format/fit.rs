//! How wide the columns of a table are where a terminal is narrower than they would like.

/// What a column of text keeps at least, so that something of it can be read.
const TEXT_WIDTH_MIN: usize = 10;

/// What a column wants and needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wish {
    /// The width of its widest value so far.
    pub values: usize,
    /// The width of its name.
    pub name: usize,
    /// Whether its values must stay whole: a number that is cut is another number.
    pub is_whole: bool,
    /// Whether there is nothing in its values at which they could be broken: ids, addresses, times.
    pub is_unbroken: bool,
}

/// A value that is longer than this may be broken anywhere.
pub(super) const UNBROKEN_WIDTH_MAX: usize = 32;

impl Wish {
    /// As wide as everything in it.
    pub(super) fn natural(self) -> usize {
        self.values.max(self.name).max(1)
    }

    fn least(self) -> usize {
        let values = if self.is_whole {
            self.values
        } else {
            self.values.min(TEXT_WIDTH_MIN)
        };
        // A name may be broken into lines, but not into letters.
        values.max(self.name.min(TEXT_WIDTH_MIN / 2)).max(1)
    }
}

/// The widths of columns that together take at most `room`: the widest give way first, all to the same
/// width, and those with nothing to break at only where the others cannot give enough. `None` where even
/// the least widths take more.
pub(super) fn fit(wishes: &[Wish], room: usize) -> Option<Vec<usize>> {
    let whole = wishes.iter().map(|wish| Wish {
        is_whole: wish.is_whole || wish.is_unbroken,
        ..*wish
    });
    let whole: Vec<_> = whole.collect();
    shrink(&whole, room).or_else(|| shrink(wishes, room))
}

fn shrink(wishes: &[Wish], room: usize) -> Option<Vec<usize>> {
    let with_limit = |limit: usize| -> Vec<usize> {
        let widths = wishes
            .iter()
            .map(|wish| wish.natural().min(limit.max(wish.least())));
        widths.collect()
    };
    let total = |widths: &[usize]| widths.iter().sum::<usize>();
    if total(&with_limit(usize::MAX)) <= room {
        return Some(with_limit(usize::MAX));
    }
    if total(&with_limit(0)) > room {
        return None;
    }
    let (mut fits, mut too_wide) = (0, room + 1);
    while too_wide - fits > 1 {
        let middle = fits + (too_wide - fits) / 2;
        if total(&with_limit(middle)) <= room {
            fits = middle;
        } else {
            too_wide = middle;
        }
    }
    let mut widths = with_limit(fits);
    // What is left over goes to the columns that still want it, from the left.
    let mut left = room - total(&widths);
    for (width, wish) in widths.iter_mut().zip(wishes) {
        if left > 0 && *width < wish.natural() {
            *width += 1;
            left -= 1;
        }
    }
    Some(widths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(values: usize, name: usize) -> Wish {
        Wish {
            values,
            name,
            ..Wish::default()
        }
    }

    fn number(values: usize, name: usize) -> Wish {
        Wish {
            is_whole: true,
            ..text(values, name)
        }
    }

    #[test]
    fn what_fits_is_left_as_it_is() {
        assert_eq!(fit(&[text(5, 9), number(3, 1)], 12), Some(vec![9, 3]));
        assert_eq!(fit(&[], 0), Some(vec![]));
    }

    #[test]
    fn the_widest_give_way_to_one_width_and_all_room_is_used() {
        let widths = fit(&[text(100, 4), text(8, 4), text(50, 4)], 69);
        assert_eq!(widths, Some(vec![31, 8, 30]));
    }

    #[test]
    fn what_cannot_be_broken_well_gives_way_last() {
        let id = Wish {
            is_unbroken: true,
            ..text(20, 2)
        };
        assert_eq!(fit(&[id, text(90, 3)], 40), Some(vec![20, 20]));
        assert_eq!(fit(&[id, text(90, 3)], 26), Some(vec![13, 13]));
    }

    #[test]
    fn numbers_stay_whole_and_too_much_does_not_fit() {
        assert_eq!(fit(&[number(20, 1), text(90, 1)], 40), Some(vec![20, 20]));
        assert_eq!(fit(&[number(20, 1), text(90, 1)], 29), None);
        assert_eq!(fit(&[number(3, 30), text(9, 1)], 14), Some(vec![5, 9]));
    }
}

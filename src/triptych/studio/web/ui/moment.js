// A moment as people say it.

/** @param {number} seconds Since 1970. */
export function moment(seconds) {
    return new Date(seconds * 1000).toLocaleString([], {dateStyle: 'medium', timeStyle: 'short'});
}

// What a condition is for, as the page says it.

/** @type {Record<string, {mark: string, name: string}>} */
export const ROLES = {
    subject: {mark: 'S', name: 'Subject: what the pictures show'},
    edit: {mark: 'E', name: 'Edit: the picture to change'},
    control: {mark: 'C', name: 'Control: the shape to follow'},
    example: {mark: 'X', name: 'Example: how it should look'},
};

// What the server says and the page holds, as types for the checker; no code.

/**
 * @typedef {'slot' | 'subject' | 'edit' | 'control' | 'example'} Role
 * @typedef {[number, number]} Size Width and height in pixels.
 *
 * A made picture that stands in a slot.
 * @typedef {object} Variant
 * @property {string} file SHA-256 of the file.
 * @property {string | null} picture The server's id.
 * @property {number} seed
 * @property {number} width
 * @property {number} height
 * @property {boolean} [live] Made while typing; the next live one takes its place.
 *
 * Where one thing stands in a panel: left, top, right and bottom from 0 to 1.
 * @typedef {{name: string, corners: [number, number, number, number], words?: string}} Box
 *
 * @typedef {object} Panel
 * @property {string} key Stays the same however panels move.
 * @property {Role} role
 * @property {string | null} image A condition's picture.
 * @property {number} width Of the picture, or wanted of the slot; 0 is the backbone's own.
 * @property {number} height
 * @property {string} instruction
 * @property {Variant[]} variants
 * @property {number} chosen Index into `variants`.
 * @property {Box[]} boxes Where things are wanted, or stand.
 * @property {boolean} kept It was a slot, and its picture is now a condition.
 *
 * @typedef {object} ExamplePage
 * @property {string} key
 * @property {ExamplePanel[]} panels
 *
 * @typedef {object} ExamplePanel
 * @property {string} key
 * @property {Role} role
 * @property {string | null} picture Image of a condition, answer of a slot; null while it is still wanted.
 * @property {number} width
 * @property {number} height
 * @property {string} instruction
 *
 * @typedef {object} Settings
 * @property {string | null} backbone
 * @property {{id: string, weight: number}[]} skills
 * @property {number} seed
 * @property {number} variants
 * @property {number | null} steps
 * @property {string | null} [reading] The mean of all right answers or one of them; null lets the page decide.
 * @property {number | null} guidance
 * @property {string | null} conditioning
 * @property {Size | null} size
 * @property {boolean} live
 *
 * @typedef {object} Doc
 * @property {string} overview
 * @property {string} layout
 * @property {number} gutter
 * @property {Panel[]} panels
 * @property {ExamplePage[]} context
 * @property {Settings} settings
 *
 * @typedef {object} Backbone
 * @property {string} name What it is offered by.
 * @property {string} [checkpoint] What skills and pictures call it.
 * @property {string} family
 * @property {string} [summary] What it is for, in a few words.
 * @property {boolean} is_loaded
 * @property {string[]} conditionings
 * @property {number} side_px
 * @property {(number | Size)[]} sizes
 * @property {number} max_conditions
 * @property {number | null} [trained_conditions] How many its authors trained it with, where they say so.
 * @property {number} max_slots
 * @property {string[]} roles
 * @property {boolean} follows_words
 * @property {'none' | 'plain' | 'any'} [words] What it makes of instructions.
 * @property {number} [max_text_tokens]
 * @property {boolean} [reads_boxes] Panels may say where things stand.
 * @property {string[]} [readings] What it can answer with where many answers are right.
 * @property {number} steps
 * @property {string} licence
 *
 * What stands against generating a page: the panel it is about, and what would mend it.
 * @typedef {object} Hindrance
 * @property {string} text
 * @property {string | null} panel
 * @property {boolean} blocks
 * @property {boolean} [inPlace] The panel itself says it.
 * @property {{label: string, change: (doc: Doc) => Doc}} [fix]
 *
 * @typedef {object} Info
 * @property {string} version
 * @property {Backbone[]} backbones
 * @property {string} default_backbone
 * @property {string} [worker]
 * @property {{upload_bytes: number, queue: number, disk_bytes: number}} limits
 *
 * @typedef {object} WirePanel
 * @property {Role} [role]
 * @property {string | null} [image]
 * @property {string} [instruction]
 * @property {Size | null} [size_px]
 * @property {string | null} [answer]
 * @property {Box[]} [boxes]
 *
 * @typedef {object} WirePage
 * @property {WirePanel[]} panels
 * @property {string} [overview]
 * @property {string} [layout]
 * @property {number} [gutter_px]
 * @property {WirePage[]} [context]
 *
 * @typedef {object} StoredFile
 * @property {string} id
 * @property {number} width
 * @property {number} height
 *
 * @typedef {object} Job
 * @property {string} id
 * @property {string} kind
 * @property {'live' | 'batch'} lane
 * @property {'queued' | 'running' | 'done' | 'failed' | 'cancelled' | 'interrupted'} state
 * @property {{phase?: string, step?: number, steps?: number, eta_s?: number | null} | null} progress
 * @property {any} error
 * @property {number} created
 * @property {number | null} started
 * @property {number | null} ended
 * @property {number | null} position
 * @property {string} title
 * @property {string | null} document
 * @property {any} results
 *
 * @typedef {object} Picture
 * @property {string} id
 * @property {string} file
 * @property {string} url
 * @property {string} thumb
 * @property {number} width
 * @property {number} height
 * @property {number} created
 * @property {number} slot
 * @property {number} variant
 * @property {number} seed
 * @property {string} backbone
 * @property {any[]} skills
 * @property {string} prompt_words
 * @property {boolean} favourite
 * @property {boolean} rejected
 * @property {string | null} job
 * @property {string | null} document
 *
 * @typedef {object} Skill
 * @property {string} id
 * @property {string} name
 * @property {string} summary
 * @property {string} backbone
 * @property {string | null} picture
 * @property {number} created
 * @property {number} pages
 * @property {number} steps
 * @property {Record<string, string | null>} [exports] For each program: null, or why it cannot have this one.
 * @property {boolean} [shipped] Comes with Triptych: it cannot be renamed, trained longer or binned.
 *
 * @typedef {object} Starter
 * @property {string} id
 * @property {string} title
 * @property {string} summary
 * @property {WirePage} page
 * @property {string} picture
 *
 * @typedef {object} Rule
 * @property {string} name
 * @property {string} family
 * @property {string} summary
 * @property {boolean} held_out
 * @property {number} shots
 */
export {};

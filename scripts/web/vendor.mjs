// Writes src/triptych/studio/web/vendor and fonts from the pinned npm packages: `npm ci && npm run vendor`.
import {copyFileSync, mkdirSync, writeFileSync} from 'node:fs';
import {build} from 'esbuild';

const web = new URL('../../src/triptych/studio/web/', import.meta.url).pathname;
const modules = new URL('./node_modules/', import.meta.url).pathname;

mkdirSync(`${web}vendor`, {recursive: true});
mkdirSync(`${web}fonts`, {recursive: true});

await build({
    entryPoints: ['lit-entry.js'],
    bundle: true,
    format: 'esm',
    minify: true,
    target: 'es2022',
    legalComments: 'inline',
    outfile: `${web}vendor/lit.js`,
});
writeFileSync(
    `${web}vendor/lit.d.ts`,
    ['lit', 'lit/directive.js', ...['class-map', 'if-defined', 'keyed', 'live', 'ref', 'repeat'].map((name) => `lit/directives/${name}.js`)]
        .map((name) => `export * from '${name}';`)
        .join('\n') + '\n',
);
copyFileSync(`${modules}lit/LICENSE`, `${web}vendor/LICENSE-lit`);
for (const [family, faces] of [
    ['newsreader', ['latin-wght-normal', 'latin-wght-italic']],
    ['hanken-grotesk', ['latin-wght-normal']],
]) {
    copyFileSync(`${modules}@fontsource-variable/${family}/LICENSE`, `${web}fonts/LICENSE-${family}`);
    for (const face of faces) {
        copyFileSync(`${modules}@fontsource-variable/${family}/files/${family}-${face}.woff2`, `${web}fonts/${family}-${face}.woff2`);
    }
}

/**
 * Makes the bundle, dist/: the program in a few files of JavaScript, which Node.js loads in a fraction of the time that its
 * sources take. bin/slipway runs it as long as it fits the sources (bin/bundle.cjs). CommonJS, because an import of a
 * module of Node's own touches everything it exports, so that `node:http` brings `fetch` along, and `require` does not.
 *
 * Stays outside: koffi, which is machine code, and @ltd/j-toml, which everybody may replace (LGPL). The licences of what is
 * inside are in dist/licenses.txt.
 */
import { execFileSync } from 'node:child_process'
import { globSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { build } from 'esbuild'
import { findBundle, statesOf } from '../bin/bundle.cjs'

const root = join(import.meta.dirname, '..')
const target = join(root, 'dist')
/** `new URL('./x.ts', import.meta.url)`: a thread or a program of ours that is started by its file. */
const startedFile = /new URL\('([./\w-]+)\.ts', import\.meta\.url\)/g
/** Modules of Node's own are loaded when they are first used: TLS alone takes as long as the rest of a small command. */
const LAZY_MODULES = `require = (load => name => {
  if (!name.startsWith('node:') || name === 'node:fs' || name === 'node:path') return load(name)
  const get = (_, key) => load(name)[key]
  const ownKeys = () => Reflect.ownKeys(load(name))
  const getOwnPropertyDescriptor = (_, key) => ({ ...Reflect.getOwnPropertyDescriptor(load(name), key), configurable: true })
  return new Proxy({}, { get, ownKeys, getOwnPropertyDescriptor })
})(require)`
const sources = globSync('src/**/*.ts', { cwd: root })
const makers = ['scripts/bundle.mjs', 'scripts/compile-bundle.mjs']
/** Packages that few commands use, for the others not to read. */
const apart = ['fastify']
/** What bin/slipway.cjs loads, by name: the files that it is made of. */
const entries = {
  program: ['src/cli/program.ts', ...sources.flatMap(filesStartedBy)],
}

if (Object.keys(entries).some(name => findBundle(name) === undefined)) await bundle()

async function bundle() {
  // Before they are read: what changes meanwhile makes the bundle old.
  const states = statesOf([...sources, 'package.json', 'package-lock.json', ...makers])
  const made = `${target}.${process.pid}`
  try {
    const packages = await write(made, apart)
    for (const [name, files] of Object.entries(entries)) {
      const inputs = await write(made, files, {
        alias: Object.fromEntries(apart.map(name => [name, `./${name}.cjs`])),
        banner: { js: LAZY_MODULES },
        external: ['koffi', '@ltd/j-toml', ...apart.map(name => `./${name}.cjs`)],
      })
      packages.push(...inputs)
      const used = Object.entries(states).filter(
        ([file]) => !file.startsWith('src/') || inputs.includes(file),
      )
      writeFileSync(join(made, `${name}.json`), JSON.stringify(Object.fromEntries(used)))
    }
    writeFileSync(join(made, 'licenses.txt'), licensesOf(packages))
    const compile = [join(root, 'scripts/compile-bundle.mjs'), join(made, 'program.cjs')]
    execFileSync(process.execPath, compile, { stdio: 'pipe' })
    rmSync(target, { recursive: true, force: true })
    renameSync(made, target)
  } finally {
    rmSync(made, { recursive: true, force: true })
  }
}

/** Returns the files that went into it. */
async function write(folder, entryPoints, options = {}) {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints,
    outdir: folder,
    outExtension: { '.js': '.cjs' },
    entryNames: '[name]',
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: `node${process.versions.node}`,
    // To Node's loader of CommonJS an import() is one more loader to start.
    supported: { 'dynamic-import': false },
    minifyWhitespace: true,
    minifySyntax: true,
    sourcemap: true,
    sourcesContent: false,
    legalComments: 'none',
    logLevel: 'warning',
    metafile: true,
    plugins: [
      { name: 'started files', setup: ({ onLoad }) => onLoad({ filter: /\/src\/.*\.ts$/ }, loadSource) },
    ],
    ...options,
  })
  return Object.keys(metafile.inputs)
}

/** Files that are started lie beside the bundle. */
function loadSource({ path }) {
  const text = readFileSync(path, 'utf8')
  const contents = text.replace(
    startedFile,
    (_, name) => `require('node:url').pathToFileURL(__dirname + '/${basename(name)}.cjs')`,
  )
  return { loader: 'ts', contents }
}

function filesStartedBy(source) {
  const found = readFileSync(join(root, source), 'utf8').matchAll(startedFile)
  return Array.from(found, ([, file]) => `${join(dirname(source), file)}.ts`)
}

function licensesOf(inputs) {
  const folders = new Set(inputs.flatMap(name => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(name) ?? []))
  const texts = [...folders].sort().map(folder => {
    const { name, version, license } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'))
    const [file] = globSync('{license,LICENSE,License,licence,LICENCE}*', { cwd: join(root, folder) })
    const text = file === undefined ? '' : `\n${readFileSync(join(root, folder, file), 'utf8').trim()}\n`
    return `${name} ${version}: ${license}\n${text}`
  })
  return `The files in this folder contain these packages:\n\n${texts.join(`\n${'-'.repeat(80)}\n\n`)}`
}

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { BuildError } from '../../../../src/builder/errors.ts'
import {
  displayRemote,
  type GitReference,
  isRemoteContext,
  parseGitContext,
  parseGitReference,
} from '../../../../src/builder/fetch/git-reference.ts'

const DEFAULTS = { ref: '', subdirectory: '', keepGitDir: false, submodules: true }

const REFERENCES: readonly (readonly [text: string, expected: Partial<GitReference>])[] = [
  ['https://host/foo.git', { remote: 'https://host/foo.git' }],
  ['HTTPS://host/foo.git#v1', { remote: 'HTTPS://host/foo.git', ref: 'v1' }],
  ['https://u:p@host:8/foo.git', { remote: 'https://u:p@host:8/foo.git' }],
  ['https://host/foo.git#baz/qux:quux/quuz', { ref: 'baz/qux', subdirectory: 'quux/quuz' }],
  ['https://host/foo.git#:dir', { subdirectory: 'dir' }],
  ['https://host/foo.git#a%20b', { ref: 'a b' }],
  ['https://host/foo.git#%zz', { ref: '%zz' }],
  ['git://host/foo', { remote: 'git://host/foo' }],
  ['ssh://git@host:2222/foo', { remote: 'ssh://git@host:2222/foo' }],
  ['git@host:foo/bar', { remote: 'git@host:foo/bar' }],
  ['me@host.org:~/x#main:d', { remote: 'me@host.org:~/x', ref: 'main', subdirectory: 'd' }],
  ['git@host:foo?tag=v1', { remote: 'git@host:foo', ref: 'refs/tags/v1' }],
  ['https://host/foo.git?ref=v1&subdir=/d', { ref: 'v1', subdirectory: '/d' }],
  ['https://host/foo.git?tag=refs/tags/v1', { ref: 'refs/tags/v1' }],
  ['https://host/foo.git?branch=main', { ref: 'refs/heads/main' }],
  ['https://host/foo.git?commit=abc', { ref: 'abc', checksum: 'abc' }],
  ['https://host/foo.git?checksum=abc&branch=b', { ref: 'refs/heads/b', checksum: 'abc' }],
  ['https://host/foo.git?keep-git-dir&submodules=0', { keepGitDir: true, submodules: false }],
  ['https://host/foo.git?keep-git-dir=false', { keepGitDir: false }],
  ['https://host/foo.git?ref=v1#v1', { ref: 'v1' }],
]

describe('parseGitReference()', () => {
  for (const [text, expected] of REFERENCES) {
    it(`reads ${text}`, () => {
      const found = parseGitReference(text)
      assert.deepEqual(found, { ...DEFAULTS, remote: found?.remote, ...expected })
    })
  }

  for (const text of [
    'https://host/',
    'https://host/foo',
    'https://host/foo.git/',
    'https://host/foo.git.bar',
    'http://host/foo.git:#branch',
    './.git',
    '.git',
    'host/foo.git',
    'github.com/a/b',
    'file:///foo.git',
    'ext::sh -c id',
    'ftp://host/foo.git',
    'ssh://-oProxyCommand=id/x',
    '-u@host:x',
    'git@-host:x',
    'git@host:a\nb',
    'C:\\x.git',
  ]) {
    it(`takes ${JSON.stringify(text)} for no repository`, () => {
      assert.equal(parseGitReference(text), undefined)
    })
  }

  for (const [query, problem] of [
    ['foo=1', /"foo", which is none of/],
    ['ref=', /ref in its query has no value/],
    ['ref=a&ref=b', /says ref twice/],
    ['tag=a&branch=a', /two refs: refs\/tags\/a and refs\/heads\/a/],
    ['ref=a#b', /two refs: b and a/],
    ['subdir=a#:b', /two directories/],
    ['commit=a&checksum=b', /two commits/],
    ['submodules=maybe', /submodules is "maybe"/],
  ] as const) {
    it(`refuses ${query}, and tells no password`, () => {
      assert.throws(
        () => parseGitReference(`https://u:secret@host/x.git?${query}`),
        (error: unknown) =>
          error instanceof BuildError &&
          error.code === 'dockerfile-invalid' &&
          problem.test(error.message) &&
          !error.message.includes('secret'),
      )
    })
  }
})

describe('parseGitReference() of a URL whose host is not the same for all who read it', () => {
  for (const remote of [
    'https://good\\@evil/x.git',
    'https://u@good\\x@evil/x.git',
    'https://u:secret@word@host/x.git',
    'https://\uff47ood.com/x.git',
    'https://good%2ecom/x.git',
    'https:///evil/x.git',
    'ssh://a@b@c/x',
  ])
    it(`refuses ${remote}, and tells no password`, () => {
      assert.throws(
        () => parseGitReference(remote),
        (error: unknown) =>
          error instanceof BuildError &&
          /host is not plain/.test(error.message) &&
          !/secret|word/.test(error.message),
      )
    })

  it('takes ports, addresses and passwords', () => {
    for (const remote of [
      'https://[::1]:8/x.git',
      'http://127.0.0.1/x.git',
      'ssh://u:p%40@my_host:2/x',
      'git://h:/x',
    ])
      assert.equal(parseGitReference(remote)?.remote, remote)
  })
})

describe('parseGitContext()', () => {
  it('knows github.com without a scheme, which ADD takes for a path', () => {
    for (const text of ['github.com/a/b', 'github.com/a/b.git', 'github.com/a/b/'])
      assert.equal(parseGitContext(`${text}#v1:d`)?.remote, 'https://github.com/a/b.git')
  })

  it('tells what is elsewhere from directories', () => {
    for (const text of ['http://host/x', 'https://host/x.tar', 'git@host:x', 'github.com/a/b'])
      assert.equal(isRemoteContext(text), true, text)
    for (const text of ['.', '-', 'dir', './git@host', 'C:/x'])
      assert.equal(isRemoteContext(text), false, text)
  })
})

describe('displayRemote()', () => {
  it('leaves user and password out', () => {
    assert.equal(displayRemote('https://u:p@host/x.git'), 'https://host/x.git')
    assert.equal(displayRemote('https://u:p@ss@host/x.git'), 'https://host/x.git')
    assert.equal(displayRemote('git@host:x'), 'git@host:x')
  })
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { commandText } from '../../../../src/builder/plan/shell.ts'

test('commandText() writes a command as one types it', () => {
  assert.equal(commandText({ form: 'shell', script: 'make && make install' }), 'make && make install')
  assert.equal(
    commandText({ form: 'exec', args: ['/bin/echo', 'a b', "it's", ''] }),
    "/bin/echo 'a b' 'it'\\''s' ''",
  )
  assert.equal(commandText({ form: 'file', name: 'EOF', content: '#!/bin/sh\n' }), '/dev/pipes/EOF')
})

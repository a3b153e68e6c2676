import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseGoBoolean } from '../../../../src/builder/dockerfile/go-boolean.ts'

test('parseGoBoolean() takes the words that Go takes, and no others', () => {
  for (const text of ['1', 't', 'T', 'TRUE', 'true', 'True']) assert.equal(parseGoBoolean(text), true, text)
  for (const text of ['0', 'f', 'F', 'FALSE', 'false', 'False'])
    assert.equal(parseGoBoolean(text), false, text)
  for (const text of ['', 'tRUE', 'yes', 'on', ' true', '2', 'constructor'])
    assert.equal(parseGoBoolean(text), undefined, text)
})

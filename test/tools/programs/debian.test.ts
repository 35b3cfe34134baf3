import { expect, test } from 'vitest';
import { debianArchiveIn } from '../../../tools/programs/debian.ts';

test.each([
  ['Debian http://mirror.example/debian/ bookworm\n', 'http://mirror.example/debian/'],
  ['Debian http://a.example/security/ stable-security\nDebian http://b.example/debian/ stable\n', 'http://b.example/debian/'],
  ['Ubuntu http://archive.ubuntu.example/ubuntu/ noble\n', undefined],
  ['Docker https://download.example/linux/debian/ bookworm\nDebian http://b.example/debian/ bookworm\n', 'http://b.example/debian/'],
  ['', undefined],
])('the archive of Debian among the sources of apt is found: %j', (targets, uri) => {
  expect(debianArchiveIn(targets)).toBe(uri);
});

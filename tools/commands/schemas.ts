import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { printSchema } from '../../src/commands/schema.ts';
import { jsonSchemas } from '../../src/config/json-schema.ts';
import { readArguments } from './shared/arguments.ts';

/** `./dev schemas` writes the JSON Schemas in the folder schemas/, which the package contains. */

readArguments('usage: ./dev schemas    writes schemas/*.json', { most: 0 });
const folder = join(import.meta.dirname, '../../schemas');
for (const name of jsonSchemas.keys()) await writeFile(join(folder, `${name}.json`), printSchema(name));

/**
 * Prints a page of the documentation for a terminal: paragraphs, list items and the cells of tables are wrapped, code stays as it is. A row of a
 * table becomes a list of its cells, because the columns of a table of sentences do not fit next to each other.
 * @param page Markdown of the kinds that the pages use: headings, paragraphs, lists, pipe tables and fenced code
 * @param width of a line, in characters
 */
export function printPage(page: string, width: number): string {
  const printed: string[] = [];
  let code = false;
  let paragraph = '';
  let header: readonly string[] | undefined;
  const endParagraph = () => {
    if (paragraph !== '') printed.push(...wrap(paragraph, width));
    paragraph = '';
  };
  for (const line of page.split('\n')) {
    const isFence = line.startsWith('```');
    const isRow = !code && line.startsWith('|');
    if (!isRow) header = undefined;
    if (code || isFence || isRow || line === '' || /^(#|- |\d+\. )/.test(line)) endParagraph();
    if (isFence) {
      code = !code;
    } else if (code) {
      printed.push(line === '' ? '' : `    ${line}`);
    } else if (isRow) {
      const cells = cellsOf(line);
      if (header === undefined) header = cells;
      else if (!cells.every((cell) => /^:?-+:?$/.test(cell))) printed.push(...printRow(header, cells, width));
    } else if (line === '' || line.startsWith('#')) {
      printed.push(line);
    } else {
      paragraph = paragraph === '' ? line : `${paragraph} ${line.trim()}`;
    }
  }
  endParagraph();
  return printed.join('\n');
}

/** A pipe inside of code or behind a backslash belongs to its cell. */
function cellsOf(row: string): string[] {
  const inner = row.trim().replace(/^\|/, '').replace(/\|$/, '');
  return inner.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll('\\|', '|'));
}

function printRow(header: readonly string[], cells: readonly string[], width: number): string[] {
  return cells.flatMap((cell, index) => {
    const name = header[index] ?? '';
    const lead = index === 0 ? '- ' : '  ';
    return cell === '' ? [] : wrap(`${lead}${name === '' ? '' : `${name}: `}${cell}`, width);
  });
}

/** Breaks between words. The lines after the first are indented as the text behind a list's mark. A word wider than the line stays whole. */
function wrap(text: string, width: number): string[] {
  const [mark = ''] = /^(?:- |\d+\. | +)/.exec(text) ?? [];
  const indent = ' '.repeat(mark.length);
  const lines: string[] = [];
  let line = mark;
  for (const word of text.slice(mark.length).split(' ')) {
    const isFirst = line === mark || line === indent;
    if (!isFirst && line.length + 1 + word.length > width) {
      lines.push(line);
      line = indent + word;
    } else line += isFirst ? word : ` ${word}`;
  }
  return [...lines, line];
}

import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { yaml } from '@codemirror/lang-yaml';
import { syntaxHighlighting } from '@codemirror/language';
import { type Diagnostic, lintGutter, lintKeymap, setDiagnostics } from '@codemirror/lint';
import { searchKeymap } from '@codemirror/search';
import { EditorState } from '@codemirror/state';
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers } from '@codemirror/view';
import { classHighlighter } from '@lezer/highlight';

/** A mark in the text. Lines and columns start at 1; `endColumn` is the one behind the last. */
export interface Mark {
  readonly line: number;
  readonly column: number;
  readonly endLine: number;
  readonly endColumn: number;
  readonly severity: 'error' | 'warning';
  readonly text: string;
}

/** What the page needs of an editor. The plain text area, which is there before CodeMirror is loaded, has the same functions. */
export interface Editor {
  text(): string;
  setText(text: string): void;
  setMarks(marks: readonly Mark[]): void;
  /** Puts the cursor into a line, and shows the line. */
  goTo(line: number): void;
}

/**
 * Replaces a text area by CodeMirror. Tab leaves the editor, as it leaves every other field.
 * @param changed called after each change by the user
 */
export function makeEditor(area: HTMLTextAreaElement, changed: () => void): Editor {
  const view = new EditorView({
    state: stateFor(area.value),
  });
  const hadFocus = document.activeElement === area;
  area.hidden = true;
  area.after(view.dom);
  if (hadFocus) view.focus();
  return {
    text: () => view.state.doc.toString(),
    // A new state: undo does not lead from one example to another.
    setText: (text) => view.setState(stateFor(text)),
    setMarks: (marks) =>
      view.dispatch(
        setDiagnostics(
          view.state,
          marks.map((mark) => diagnosticOf(mark, view.state)),
        ),
      ),
    goTo(line) {
      const { from } = view.state.doc.line(Math.min(line, view.state.doc.lines));
      view.dispatch({ selection: { anchor: from }, effects: EditorView.scrollIntoView(from, { y: 'center' }) });
      view.focus();
    },
  };

  function stateFor(text: string): EditorState {
    return EditorState.create({
      doc: text,
      extensions: [
        lineNumbers(),
        lintGutter(),
        history(),
        drawSelection(),
        highlightActiveLine(),
        yaml(),
        syntaxHighlighting(classHighlighter),
        keymap.of([...lintKeymap, ...searchKeymap, ...historyKeymap, ...defaultKeymap]),
        EditorView.contentAttributes.of({ 'aria-label': area.getAttribute('aria-label') ?? 'Manifest', tabindex: '0' }),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) changed();
        }),
      ],
    });
  }
}

function diagnosticOf({ line, column, endLine, endColumn, severity, text }: Mark, { doc }: EditorState): Diagnostic {
  const offsetOf = (at: number, char: number): number => {
    const { from, to } = doc.line(Math.min(Math.max(at, 1), doc.lines));
    return Math.min(from + char - 1, to);
  };
  const from = offsetOf(line, column);
  return { from, to: Math.max(from, offsetOf(endLine, endColumn)), severity, message: text };
}

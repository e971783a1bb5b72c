import {
  AccordionToolbar,
  PanelWithToolbar,
  ReactWidget,
  SidePanel,
  Toolbar,
  ToolbarButton,
  refreshIcon
} from '@jupyterlab/ui-components';
import type { ITranslator } from '@jupyterlab/translation';
import { DisposableDelegate, DisposableSet, IDisposable } from '@lumino/disposable';
import type { Message } from '@lumino/messaging';
import { ISignal, Signal } from '@lumino/signaling';
import { AccordionPanel, Widget } from '@lumino/widgets';
import * as React from 'react';
import { Language, LanguageContext } from './components';
import { mlopsIcon } from './icons';
import { share } from './share';
import type { IMLOpsPanel } from './tokens';

/** No open section is lower than this, in pixels. */
const MINIMUM = 32;

/** The MLOps sidebar: an accordion of sections that other plug-ins bring. */
export class MLOpsPanel extends SidePanel implements IMLOpsPanel {
  constructor(translator: ITranslator) {
    const accordion = new AccordionPanel({ layout: AccordionToolbar.createLayout({}) });
    super({ translator, content: accordion });
    this.accordion = accordion;
    this.language = {
      trans: translator.load('mlops_jupyter'),
      locale: language(translator.languageCode)
    };
    this.id = 'mlops-panel';
    this.addClass('mlops-Panel');
    this.title.icon = mlopsIcon;
    this.title.caption = this.language.trans.__('MLOps');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', this.title.caption);
    this.accordion.handleMoved.connect(() => {
      this.fitting = false;
    });
    this.accordion.expansionToggled.connect((_, index) => {
      this.fitting = true;
      this.arrange();
      const section = this.sections[index];
      if (section) {
        this.closed[section.isHidden ? 'add' : 'delete'](section.section.id);
        this._closedChanged.emit([...this.closed]);
      }
    });
  }

  /** Emits the ids of all closed sections when a person opened or closed one. */
  get closedChanged(): ISignal<this, string[]> {
    return this._closedChanged;
  }

  /** Emitted when someone wants the sidebar to be in front. */
  get revealRequested(): ISignal<this, void> {
    return this._revealRequested;
  }

  /** Close the sections with these ids, also those that come later. */
  closeSections(ids: string[]): void {
    ids.forEach(id => this.closed.add(id));
    this.sections.forEach((widget, index) => {
      if (this.closed.has(widget.section.id)) {
        this.accordion.collapse(index);
      }
    });
  }

  add(section: IMLOpsPanel.ISection): IDisposable {
    const widget = new SectionWidget(section, this.language, () => this.arrange());
    const place = this.sections.findIndex(other => other.section.rank > section.rank);
    const index = place < 0 ? this.sections.length : place;
    this.sections.splice(index, 0, widget);
    this.insertWidget(index, widget);
    widget.disposed.connect(() => this.sections.splice(this.sections.indexOf(widget), 1));
    if (this.closed.has(section.id)) {
      this.accordion.collapse(index);
    }
    if (this.isVisible) {
      widget.wake();
    }
    return new DisposableDelegate(() => widget.dispose());
  }

  reveal(id: string): void {
    const index = this.sections.findIndex(widget => widget.section.id === id);
    if (index >= 0) {
      this.accordion.expand(index);
    }
    this._revealRequested.emit();
  }

  protected override onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    this.sections.forEach(section => section.wake());
    // JupyterLab hides everything while it changes the theme.
    this.arrange();
  }

  protected override onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    if (this.isVisible) {
      this.sections.forEach(section => section.wake());
    }
  }

  protected override onBeforeHide(msg: Message): void {
    this.sections.forEach(section => section.sleep());
    super.onBeforeHide(msg);
  }

  protected override onResize(msg: Widget.ResizeMessage): void {
    super.onResize(msg);
    this.arrange();
  }

  /** Give each open section the height its rows need, unless a person moved a border. */
  private arrange(): void {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      if (!this.fitting || !this.isVisible) {
        return;
      }
      const open = this.sections.filter(section => !section.isHidden);
      const available = open.reduce((sum, section) => sum + section.node.offsetHeight, 0);
      const heights = share(
        this.sections.map(section => (section.isHidden ? 0 : section.wanted)),
        available
      );
      // What nobody needs is left below the last one.
      const last = open.at(-1);
      const left = available - heights.reduce((sum, height) => sum + height, 0);
      if (last && available > 0) {
        const index = this.sections.indexOf(last);
        heights[index] = (heights[index] ?? 0) + left;
        const differs = (section: SectionWidget, place: number): boolean =>
          Math.abs((heights[place] ?? 0) - section.node.offsetHeight) > 1;
        if (this.sections.some(differs)) {
          this.accordion.setRelativeSizes(heights);
        }
      }
    });
  }

  private fitting = true;
  private frame: number | null = null;
  private readonly closed = new Set<string>();
  private readonly accordion: AccordionPanel;
  private readonly sections: SectionWidget[] = [];
  private readonly language: Language;
  private readonly _closedChanged = new Signal<this, string[]>(this);
  private readonly _revealRequested = new Signal<this, void>(this);
}

/** A section's body, with count, actions and Refresh in its title. */
class SectionWidget extends PanelWithToolbar {
  constructor(
    readonly section: IMLOpsPanel.ISection,
    language: Language,
    private readonly resized: () => void
  ) {
    super({ toolbar: new Toolbar() });
    const { trans } = language;
    this.id = `mlops-section-${section.id}`;
    this.addClass('mlops-Section');
    this.title.label = section.title;
    this.toolbar.node.setAttribute('aria-label', trans.__('%1 actions', section.title));
    this.toolbar.addItem('badge', new BadgeWidget(section));
    for (const action of section.actions ?? []) {
      const button = new ToolbarButton({
        icon: action.icon,
        tooltip: action.label,
        onClick: () => action.run()
      });
      this.toolbar.addItem(action.label, button);
    }
    const refresh = new ToolbarButton({
      icon: refreshIcon,
      tooltip: trans.__('Refresh %1', section.title),
      onClick: () => section.stores.forEach(store => void store.refresh())
    });
    this.toolbar.addItem('refresh', refresh);
    const body = ReactWidget.create(
      <LanguageContext.Provider value={language}>
        <Measured resized={resized} height={this.height}>
          {section.render()}
        </Measured>
      </LanguageContext.Provider>
    );
    body.addClass('mlops-Section-body');
    this.addWidget(body);
  }

  /** The height its content needs, in pixels. */
  get wanted(): number {
    return Math.max(MINIMUM, this.height.current);
  }

  /** Keep what is shown up to date. */
  wake(): void {
    this.watching ??= DisposableSet.from(this.section.stores.map(store => store.watch()));
  }

  /** Nobody looks: leave the server alone. */
  sleep(): void {
    this.watching?.dispose();
    this.watching = null;
  }

  protected override onResize(msg: Widget.ResizeMessage): void {
    super.onResize(msg);
    this.resized();
  }

  override dispose(): void {
    this.sleep();
    super.dispose();
  }

  private readonly height = { current: 0 };
  private watching: IDisposable | null = null;
}

/** Tells when its children's height changes. */
function Measured(props: {
  height: { current: number };
  resized: () => void;
  children: React.ReactNode;
}): React.ReactElement {
  const { height, resized } = props;
  const node = React.useRef<HTMLDivElement>(null);
  React.useLayoutEffect(() => {
    const observer = new ResizeObserver(([entry]) => {
      // A closed section has no height; what it had is what it will need.
      if (entry && entry.contentRect.height > 0) {
        height.current = Math.ceil(entry.contentRect.height);
        resized();
      }
    });
    if (node.current) {
      observer.observe(node.current);
    }
    return () => observer.disconnect();
  }, [height, resized]);
  return <div ref={node}>{props.children}</div>;
}

/** The count in a section's title. */
class BadgeWidget extends ReactWidget {
  constructor(private readonly section: IMLOpsPanel.ISection) {
    super();
    this.addClass('mlops-BadgeHolder');
    section.stores.forEach(store => store.changed.connect(() => this.update(), this));
  }

  protected override render(): React.ReactElement | null {
    const badge = this.section.badge();
    return (
      badge && (
        <span
          className="mlops-Badge"
          data-tone={badge.tone ?? 'plain'}
          role="status"
          aria-label={badge.label}
          title={badge.label}
        >
          {badge.text}
        </span>
      )
    );
  }

  override dispose(): void {
    Signal.clearData(this);
    super.dispose();
  }
}

/** The BCP 47 tag of JupyterLab's language code (`zh_CN`, `default`). */
function language(code: string): string {
  try {
    return Intl.getCanonicalLocales(code === 'default' ? 'en' : code.replace('_', '-'))[0] ?? 'en';
  } catch {
    return 'en';
  }
}

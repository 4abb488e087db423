// Generated from the command table; do not edit.
// `Commands` and `Events` map `domain.name` to payload and reply.

/** Something computed from a media item, by content. */
export interface AnalysisArtefact {
  /** Version of what computed it. */
  analyserVersion?: number;
  analysisKind?: AnalysisKind;
  data?: BlobRef | null;
  id?: AnalysisId;
  media?: MediaId;
  /** Content that it was computed from. */
  source?: Hash | null;
}

/** Id of a analysis artefact. */
export type AnalysisId = string;

export type AnalysisKind = "waveform" | "onsets" | "beats" | "chroma" | "mel" | "loudness" | "embedding";

/** An entity of any kind that this version knows. */
export type AnyEntity = (Project & {
  kind: "project";
}) | (Arrangement & {
  kind: "arrangement";
}) | (Section & {
  kind: "section";
}) | (Marker & {
  kind: "marker";
}) | (TempoPoint & {
  kind: "tempoPoint";
}) | (SignaturePoint & {
  kind: "signaturePoint";
}) | (KeyPoint & {
  kind: "keyPoint";
}) | (GrooveTemplate & {
  kind: "grooveTemplate";
}) | (HardwareRole & {
  kind: "hardwareRole";
}) | (Track & {
  kind: "track";
}) | (Lane & {
  kind: "lane";
}) | (Take & {
  kind: "take";
}) | (Comp & {
  kind: "comp";
}) | (Clip & {
  kind: "clip";
}) | (AudioRegion & {
  kind: "audioRegion";
}) | (Note & {
  kind: "note";
}) | (MidiEvent & {
  kind: "midiEvent";
}) | (AutomationEnvelope & {
  kind: "automationEnvelope";
}) | (AutomationPoint & {
  kind: "automationPoint";
}) | (Channel & {
  kind: "channel";
}) | (DspNode & {
  kind: "dspNode";
}) | (NodeStack & {
  kind: "nodeStack";
}) | (Connection & {
  kind: "connection";
}) | (Send & {
  kind: "send";
}) | (SidechainRoute & {
  kind: "sidechainRoute";
}) | (ModulationRoute & {
  kind: "modulationRoute";
}) | (ParameterLink & {
  kind: "parameterLink";
}) | (ParameterGroup & {
  kind: "parameterGroup";
}) | (Scene & {
  kind: "scene";
}) | (ClipSlot & {
  kind: "clipSlot";
}) | (Variant & {
  kind: "variant";
}) | (MediaItem & {
  kind: "mediaItem";
}) | (AnalysisArtefact & {
  kind: "analysisArtefact";
}) | (Kit & {
  kind: "kit";
}) | (KitSlot & {
  kind: "kitSlot";
}) | (PadWorkspace & {
  kind: "padWorkspace";
}) | (ViewMeta & {
  kind: "viewMeta";
}) | (Conflict & {
  kind: "conflict";
});

/** A timeline of tracks with its own tempo map: a song, a version of one, a cue. */
export interface Arrangement {
  /** Where the arrangement ends when nothing plays longer. */
  end?: Ticks | null;
  id?: ArrangementId;
  name?: string;
  notes?: string;
  order?: OrderKey;
}

/** Id of a arrangement. */
export type ArrangementId = string;

/** A name for how one arrangement was at a commit. */
export interface ArrangementVersionInfo {
  arrangement: ArrangementId;
  commit: Hash;
  name: string;
}

/** A change between two revisions that is heard. */
export interface AudibleCause {
  entity: EntityId;
  /** "Bass ▸ clip 3: gain 0.0 dB → −3.0 dB". */
  text: string;
}

/** A stretch where two revisions sound different. */
export interface AudibleRange {
  /** What was changed and may be heard there, nearest first. */
  causes: AudibleCause[];
  /** The channel; the mix when absent. */
  channel?: ChannelId | null;
  end: Flicks;
  /** Its name. */
  name?: string | null;
  /** Peak of the difference. */
  peakDb: number;
  start: Flicks;
}

/** The device as it runs. */
export interface AudioConfig {
  block: number;
  device?: string | null;
  host: string;
  inputs: number;
  /** Milliseconds from input to output. */
  latencyMs: number;
  outputs: number;
  rate: number;
  running: boolean;
  xruns: number;
}

export interface AudioDevice {
  active: boolean;
  blockMax?: number | null;
  /** Frames per block, smallest and largest. */
  blockMin?: number | null;
  default: boolean;
  /** `alsa`, `jack`, `null`. */
  host: string;
  /** Stable for one machine: `jack:system`. */
  id: string;
  inputs: number;
  name: string;
  outputs: number;
  rates: number[];
}

/** What the file holds, as decoded. */
export interface AudioFormat {
  /** Bits per sample; 0 where the codec has none. */
  bits?: number;
  channels?: number;
  /** `wav`, `flac`, `mp3`; empty while unknown. */
  container?: string;
  float?: boolean;
  frames?: number;
  sampleRate?: number;
}

/** The stretch of media that an audio clip plays. */
export interface AudioRegion {
  clip?: ClipId;
  id?: AudioRegionId;
  media?: MediaId;
  /** Tempo of the material, where it is known. */
  sourceBpm?: number | null;
  /** Frames of the source range; 0 is to the end of the media. */
  sourceLength?: number;
  /** First frame of the source range, in frames of the media. */
  sourceStart?: number;
  /** Pairs of source and clip time between which the material is stretched. */
  warp?: WarpAnchor[];
}

/** Id of a audio region. */
export type AudioRegionId = string;

/** A curve for one parameter, on a lane or inside a clip. */
export interface AutomationEnvelope {
  enabled?: boolean;
  id?: AutomationEnvelopeId;
  /** Free pairs for what other programs attach; kept, never read. */
  metadata?: Record<string, string>;
  owner?: EnvelopeOwner;
  /** Name of the parameter of the target. */
  parameter?: string;
  /** What it moves: a node, a channel, a send. */
  target?: EntityId | null;
  timebase?: Timebase;
}

/** Id of a automation envelope. */
export type AutomationEnvelopeId = string;

export type AutomationMode = "off" | "read" | "touch" | "latch" | "write";

/** One point of an envelope, in the parameter's own unit. */
export interface AutomationPoint {
  /** In the envelope's timebase; from the start of the clip where a clip owns it. */
  at?: Moment;
  envelope?: AutomationEnvelopeId;
  id?: AutomationPointId;
  /** How the curve runs from here to the next point. */
  shape?: PointShape;
  value?: number;
}

/** Id of a automation point. */
export type AutomationPointId = string;

export type Availability = "local" | "externalOnline" | "remoteFetching" | "remoteOffline" | "externalOffline" | "missing";

/** One command of a batch failed or was answered. */
export interface BatchReply {
  domain: string;
  name: string;
  /** The reply of the command. */
  payload: {};
}

/** Bytes kept beside the tree, by content. */
export interface BlobRef {
  bytes?: number;
  hash?: Hash;
}

export interface BranchInfo {
  /** Commits that the current branch lacks, and the other way round. */
  ahead?: number | null;
  behind?: number | null;
  current: boolean;
  /** It has edits that were not committed. */
  draft: boolean;
  /** The commit that its draft stands on, where the branch was moved away from there. Switching to it asks what is to become of the draft. */
  draftBase?: Hash | null;
  head?: Hash | null;
  name: string;
}

/** A command outside an envelope: in a batch, a log, a script. */
export interface Call {
  /** Domain of the command. */
  domain: string;
  /** Name of the command. */
  name: string;
  /** Payload of the command. */
  payload?: {};
}

/** What a client can do with what it gets. Unknown flags are ignored. */
export interface Capabilities {
  /** Takes deltas of views; without it every change of a view is a snapshot. */
  deltas?: boolean;
  /** Answers `client.heartbeat`; without it the connection is never timed out. */
  heartbeat?: boolean;
  /** Takes binary stream frames (meters, spectra). */
  streams?: boolean;
}

/** Who caused an event. */
export interface Cause {
  /** The person, as commits name them. */
  author: string;
  clientId: string;
  instanceId: string;
}

export type ChangeKind = "added" | "removed" | "modified";

/** The only mixer object: track, bus, return and master channels are its kinds. */
export interface Channel {
  arrangement?: ArrangementId;
  channelKind?: ChannelKind;
  /** 1 or 2 audio channels. */
  channels?: number;
  /** dB, −144 (silence) to +24. */
  gainDb?: number;
  id?: ChannelId;
  input?: ChannelInput;
  invertLeft?: boolean;
  invertRight?: boolean;
  mute?: boolean;
  name?: string;
  order?: OrderKey;
  /** Where its signal goes; none is nowhere. The master's goes to the hardware. */
  output?: ChannelId | null;
  /** Delay in frames that makes a loop through this output legal. */
  outputFeedback?: number | null;
  /** −1 (left) to 1 (right). */
  pan?: number;
  panLaw?: PanLaw;
  /** The track that owns it; buses, returns and the master have none. */
  track?: TrackId | null;
  /** 0 (mono) to 2; 1 leaves the width alone. */
  width?: number;
}

/** Id of a channel. */
export type ChannelId = string;

export type ChannelInput = "none" | {
  audio: {
    firstChannel: number;
    role: HardwareRoleId;
  };
} | {
  midi: {
    channel?: number | null;
    role?: HardwareRoleId | null;
  };
} | {
  channel: {
    source: ChannelId;
    tap: SignalTap;
  };
};

export type ChannelKind = "track" | "bus" | "return" | "master";

export interface ChannelLevel {
  channel: ChannelId;
  /** Per audio channel, linear. */
  peak: number[];
  rms: number[];
}

/** One connected client. */
export interface ClientInfo {
  author?: string | null;
  clientId: string;
  connected: Timestamp;
  instanceId: string;
  isManager: boolean;
  name?: string | null;
  version?: string | null;
}

/** A piece of content with a place and a length on a lane. Places and lengths are ticks or flicks, as `timebase` says. */
export interface Clip {
  /** The variant that plays; none is the clip itself. */
  activeVariant?: VariantId | null;
  content?: ClipContent;
  fadeIn?: Fade;
  fadeOut?: Fade;
  /** dB, −144 (silence) to +24. */
  gainDb?: number;
  id?: ClipId;
  lane?: LaneId;
  /** More than 0. */
  length?: Moment;
  /** Length of the loop inside the content; none plays once. */
  loopLength?: Moment | null;
  /** Where in the content the loop begins. */
  loopStart?: Moment;
  mute?: boolean;
  name?: string;
  /** −1 (left) to 1 (right). */
  pan?: number;
  reverse?: boolean;
  /** How far into the content the clip begins. */
  slip?: Moment;
  start?: Moment;
  stretch?: StretchMode;
  timebase?: Timebase;
  /** Semitones, −48 to +48. */
  transpose?: number;
}

export type ClipContent = "audio" | "midi" | "automation" | "video";

/** What had to be made of clips; what is not counted was known. */
export interface ClipCounts {
  /** Pieces that were decoded from compressed files. */
  decoded: number;
  resampled: number;
  stretched: number;
}

/** Id of a clip. */
export type ClipId = string;

/** Where a clip goes. */
export interface ClipMove {
  clip: ClipId;
  lane?: LaneId | null;
  /** New start, in the clip's timebase; unchanged when absent. */
  start?: Moment | null;
}

/** Where a scene meets a track; it may hold a clip. */
export interface ClipSlot {
  clip?: ClipId | null;
  id?: ClipSlotId;
  quantise?: LaunchQuantise;
  scene?: SceneId;
  /** Launching an empty slot stops the track. */
  stopWhenEmpty?: boolean;
  track?: TrackId;
}

/** Id of a clip slot. */
export type ClipSlotId = string;

export interface CloudPoint {
  file: Hash;
  x: number;
  y: number;
}

export type CohortKind = "live" | "anticipative";

/** One member and the reason. */
export interface CohortMember {
  /** How far ahead it is rendered, in milliseconds. */
  aheadMs?: number | null;
  cohort: CohortKind;
  /** A channel or a node. */
  id: EntityId;
  /** `armed`, `monitored`, `editor open`, `forced`, `after trk_…`. */
  reason: string;
}

export interface CommitInfo {
  author: string;
  branches: string[];
  id: Hash;
  /** First line of the message. */
  label: string;
  /** The rest of it. */
  notes: string;
  parents: Hash[];
  /** Root of the tree. */
  root: Hash;
  tags: string[];
  time: Timestamp;
}

/** A choice of stretches from several takes. */
export interface Comp {
  active?: boolean;
  id?: CompId;
  lane?: LaneId;
  name?: string;
  /** In ascending order of `start`; each runs to the start of the next. */
  segments?: CompSegment[];
}

/** Id of a comp. */
export type CompId = string;

export interface CompSegment {
  start?: Ticks;
  /** The take that sounds; none is silence. */
  take?: TakeId | null;
}

/** One undecided field or entity. The project keeps `ours` and stays playable; all three sides are kept as JSON text. */
export interface Conflict {
  /** JSON of the value both sides began with; none where there was nothing. */
  base?: string | null;
  cause?: ConflictCause;
  /** Path of the field; empty where the whole entity is in question. */
  field?: string;
  id?: ConflictId;
  ours?: string | null;
  /** What the two sides are called: branch names or clients. */
  oursLabel?: string;
  subject?: EntityId | null;
  /** The owner of the subject, where it lives under one. */
  subjectOwner?: EntityId | null;
  theirs?: string | null;
  theirsLabel?: string;
}

export type ConflictCause = "bothChanged" | "deletedByUs" | "deletedByThem" | "bothAdded" | "ownerDeleted" | "routingCycle" | "invalid" | "basesDisagree" | "changedSince";

/** Id of a conflict. */
export type ConflictId = string;

/** A stored conflict, with the words of `version.diff`. */
export interface ConflictInfo {
  /** JSON of the value both sides began with; none where there was nothing. */
  base?: string | null;
  /** The sides in words: `−3.0 dB`. */
  baseText: string;
  cause: ConflictCause;
  /** Path of the field; empty where the whole entity is in question. */
  field: string;
  id: ConflictId;
  ours?: string | null;
  /** What the two sides are called: branch names or clients. */
  oursLabel: string;
  oursText: string;
  subject?: EntityId | null;
  /** What the subject is called: `Bass ▸ clip 3`, in a variant `variant B: Bass ▸ clip 3`. */
  subjectName?: string | null;
  subjectOwner?: EntityId | null;
  theirs?: string | null;
  theirsLabel: string;
  theirsText: string;
  /** Subject and field: `Bass ▸ clip 3: gain`. */
  title: string;
}

/** A wire inside a channel's graph; a channel without wires runs its nodes in order. */
export interface Connection {
  channel?: ChannelId;
  /** Delay in frames that makes a loop legal. */
  feedback?: number | null;
  from?: PortRef;
  id?: ConnectionId;
  to?: PortRef;
}

/** Id of a connection. */
export type ConnectionId = string;

/** One place in every unit. */
export interface Converted {
  bpm: number;
  flicks: Flicks;
  /** Frames, at the rate that was asked for. */
  frame?: number | null;
  seconds: number;
  /** Bars, beats, ticks: `17.3.240`. */
  text: string;
  ticks: Ticks;
}

export type CopyMode = "copy" | "reference" | "move";

export interface CopyOf {
  copy: EntityId;
  original: EntityId;
}

export interface DiffCounts {
  added: number;
  modified: number;
  removed: number;
}

/** What to do with edits that were never committed. */
export type DraftChoice = "adopt" | "discard" | "inspect";

/** Edits that were found when the project was opened. */
export interface DraftInfo {
  author?: string | null;
  /** The commit that the draft stands on. */
  base?: Hash | null;
  /** The branch has moved since. */
  baseMoved: boolean;
  branch: string;
  edits: number;
  last?: Timestamp | null;
  /** Pulse did not close the project: it crashed or lost power. */
  unclean: boolean;
}

/** One processor in a channel's graph. */
export interface DspNode {
  bypass?: boolean;
  channel?: ChannelId;
  id?: NodeId;
  /** The kit whose samples a sampler plays. */
  kit?: KitId | null;
  name?: string;
  /** Kind of processor, such as `pulse.eq`; one that is unknown passes audio through. */
  nodeKind?: string;
  nodeVersion?: number;
  /** Place in the channel's chain; connections add to the chain's order. */
  order?: OrderKey;
  /** Parameter name to value in the parameter's own unit; absent is the default. */
  params?: Record<string, number>;
  /** Opaque state of the processor, where it has any. */
  state?: BlobRef | null;
}

/** One of a clip's ends. */
export type Edge = "start" | "end";

/** What an edit did to the project. It stands in the result of every `edit` and `set`, as the field `edit` beside the fields of the reply. */
export interface EditReceipt {
  /** The history entry, for `history.undo` and `op:N`; none if nothing changed. */
  entry?: number | null;
  /** Counts transactions; `expectRevision` refers to it. */
  revision: number;
  /** Root hash of the project after the edit. */
  root: Hash;
}

/** How envelopes are written on one connection. */
export type Encoding = "json" | "messagePack";

/** The audio engine. */
export interface EngineReport {
  /** Nodes that were bypassed after a fault. */
  faults: NodeFault[];
  latencyFrames: number;
  /** Part of the time that there is, 0 to 1 and above: mean and worst of the last second. */
  load: number;
  loadPeak: number;
  nodes: number;
  state: EngineState;
  xruns: number;
}

/** Where the audio engine stands. */
export type EngineState = "stopped" | "starting" | "running" | "recovering" | "failed";

/** One entity that an edit made, changed or removed. */
export type EntityChange = {
  added: {
    entity: AnyEntity;
  };
} | {
  modified: {
    fields: FieldChange[];
    id: EntityId;
    owner?: EntityId | null;
  };
} | {
  removed: {
    id: EntityId;
    owner?: EntityId | null;
  };
};

/** One entity that differs. */
export interface EntityDiff {
  change: ChangeKind;
  contexts: HistoryContext[];
  /** Fields that differ; of a new or removed entity, all of them. */
  fields: FieldChange[];
  /** In words for all that changed alike in one owner, the same text for each of them: `Bass ▸ clip 3: 12 notes moved by 1/16 later`. */
  group?: string | null;
  id: EntityId;
  name?: string | null;
  owner?: EntityId | null;
  /** In words: `moved 2 bars later`. */
  summary: string;
}

/** Id of an entity of any kind: kind prefix, underscore, 26 digits of Crockford base32. */
export type EntityId = string;

/** What an entity is. The numbers are file format: never reuse one. */
export type EntityKind = "project" | "arrangement" | "section" | "marker" | "tempoPoint" | "signaturePoint" | "keyPoint" | "track" | "lane" | "take" | "comp" | "clip" | "audioRegion" | "note" | "midiEvent" | "automationEnvelope" | "automationPoint" | "channel" | "dspNode" | "nodeStack" | "connection" | "send" | "sidechainRoute" | "modulationRoute" | "parameterLink" | "parameterGroup" | "scene" | "clipSlot" | "variant" | "mediaItem" | "analysisArtefact" | "kit" | "kitSlot" | "padWorkspace" | "hardwareRole" | "viewMeta" | "grooveTemplate" | "conflict";

export type EnvelopeOwner = "none" | {
  lane: {
    lane: LaneId;
  };
} | {
  clip: {
    clip: ClipId;
  };
};

/** The `error` field of an envelope. */
export interface ErrorBody {
  /** `domain.reason`; kept as text so that a newer code survives an older reader. */
  code: string;
  /** What programs need to act: paths, ids, limits. `hint` says what to do next. */
  details?: Record<string, unknown>;
  /** One sentence for people. */
  message: string;
}

/** What went wrong, as `domain.reason`. Later versions may add codes. */
export type ErrorCode = string;

/** A subscription of `client.subscribe`. */
export interface EventSubscription {
  subscription: number;
  topics: Topic[];
}

export type ExpressionDimension = "pitch" | "pressure" | "timbre" | "gain" | "pan";

/** One breakpoint of a note's own curve. */
export interface ExpressionPoint {
  /** From the start of the note. */
  at?: Ticks;
  dimension?: ExpressionDimension;
  /** Semitones for pitch (−48 to 48), else 0 to 1 (pan −1 to 1). */
  value?: number;
}

export interface FacetCount {
  count: number;
  value: string;
}

/** A fade at one end of a clip; its length is in the clip's timebase. */
export interface Fade {
  /** Bend of the shape, −1 to 1. */
  curve?: number;
  length?: Moment;
  shape?: FadeShape;
}

export type FadeShape = "linear" | "equalPower" | "sCurve" | "exponential";

/** One field that differs. */
export interface FieldChange {
  after?: unknown;
  /** Absent where there was nothing. */
  before?: unknown;
  /** Path inside the entity: `gainDb`, `params.freq`. */
  field: string;
}

/** One check of `doctor`. */
export interface Finding {
  hint?: string | null;
  message: string;
  severity: Severity;
  /** What was looked at: `audio device`, `disk`. */
  subject: string;
}

/** Absolute time: a position or length in flicks, [`Flicks::PER_SECOND`] to the second. */
export type Flicks = number;

export interface FoundEntity {
  id: EntityId;
  kind: EntityKind;
  name?: string | null;
  /** What it lies in: a clip's lane, a note's clip. */
  owner?: EntityId | null;
}

/** Id of a groove template. */
export type GrooveId = string;

/** A feel that can be laid over notes: how far each step of a cycle is moved. */
export interface GrooveTemplate {
  /** Velocity factor per step (0 to 2), or empty. */
  accents?: number[];
  id?: GrooveId;
  name?: string;
  /** How much later (or earlier) each step of the cycle falls. */
  offsets?: Ticks[];
  /** Length of one step. */
  step?: Ticks;
}

export type HardwareDirection = "audioInput" | "audioOutput" | "midiInput" | "midiOutput";

/** A job that hardware does for the project ("vocal mic"), so that a project opens on another machine and asks once what fills it. */
export interface HardwareRole {
  /** 1 to 64 audio channels; 0 for MIDI. */
  channels?: number;
  /** What filled the role last: host, device, first channel. */
  device?: string;
  direction?: HardwareDirection;
  firstChannel?: number;
  id?: HardwareRoleId;
  name?: string;
}

/** Id of a hardware role. */
export type HardwareRoleId = string;

/** BLAKE3 content hash. */
export type Hash = string;

/** Which history a change belongs to, so that "undo the last mixer change" has a meaning. */
export type HistoryContext = "mixer" | "timeline" | "routing" | "media" | "timebase" | "global";

/** One transaction, as the history panel shows it. */
export interface HistoryEntry {
  /** It is in effect: not undone. */
  applied: boolean;
  author: string;
  clientId: string;
  /** `domain.name` of the command. */
  command: string;
  contexts: HistoryContext[];
  entry: number;
  /** In words: `Move 3 clips`. */
  label: string;
  root: Hash;
  time: Timestamp;
  /** What it undoes or redoes. */
  undoes?: number | null;
}

/** A job as clients see it. */
export interface Job {
  /** The instance of the client that asked for it. */
  by?: string | null;
  /** `domain.name` of the command that started it. */
  command: string;
  /** Why it failed. */
  error?: ErrorBody | null;
  finished?: Timestamp | null;
  id: JobId;
  /** What it does, for people. */
  label: string;
  /** 0 to 1. */
  progress: number;
  /** What the job made, once it is done; the reply type of its command says what. */
  result?: unknown;
  started?: Timestamp | null;
  state: JobState;
  /** What it is doing at the moment. */
  step?: string | null;
}

/** Id of a job. */
export type JobId = string;

/** Where a job stands. */
export type JobState = "queued" | "running" | "done" | "failed" | "cancelled";

/** A musical key that holds from here. */
export interface KeyPoint {
  arrangement?: ArrangementId;
  at?: Ticks;
  id?: KeyPointId;
  /** Name of the scale: `major`, `minor`, `dorian`. */
  scale?: string;
  /** Pitch class of the tonic: 0 = C to 11 = B. */
  tonic?: number;
}

/** Id of a key point. */
export type KeyPointId = string;

/** What a message is; `name` alone does not tell. */
export type Kind = "command" | "event" | "snapshot" | "error";

/** A set of samples laid out over keys. */
export interface Kit {
  id?: KitId;
  name?: string;
  order?: OrderKey;
  tags?: string[];
}

/** Id of a kit. */
export type KitId = string;

/** One zone of a kit: a sample on a range of keys and velocities. */
export interface KitSlot {
  /** Notes of one group silence each other; 0 is none. */
  chokeGroup?: number;
  gainDb?: number;
  id?: KitSlotId;
  keyHigh?: number;
  /** 0 to 127. */
  keyLow?: number;
  kit?: KitId;
  loopEnd?: number | null;
  loopStart?: number | null;
  media?: MediaId | null;
  name?: string;
  pan?: number;
  /** Key at which the sample sounds at its own pitch. */
  root?: number;
  /** Zones of one group take turns; 0 is none. */
  roundRobin?: number;
  /** Frames of the media. */
  start?: number;
  trigger?: TriggerMode;
  /** Cents, −2,400 to 2,400. */
  tuning?: number;
  velocityHigh?: number;
  /** 16 bits. */
  velocityLow?: number;
}

/** Id of a kit slot. */
export type KitSlotId = string;

/** One layer of a track's content: clips side by side, or takes to choose from. */
export interface Lane {
  id?: LaneId;
  laneKind?: LaneKind;
  mute?: boolean;
  name?: string;
  order?: OrderKey;
  /** Timebase of new clips and envelopes on this lane. */
  timebase?: Timebase;
  track?: TrackId;
}

/** Id of a lane. */
export type LaneId = string;

export type LaneKind = "audio" | "midi" | "automation" | "video" | "device";

export type LaunchQuantise = "off" | "beat" | "bar" | "fourBars" | "eightBars";

/** One file of the library. */
export interface LibraryItem {
  bpm?: number | null;
  duration?: Flicks | null;
  favourite: boolean;
  /** Hash of the file. */
  file: Hash;
  key?: string | null;
  kind: MediaKind;
  name: string;
  path: string;
  /** How near it is to what was asked for, 0 to 1. */
  score?: number | null;
  tags: string[];
}

/** A folder that is scanned. */
export interface LibraryRoot {
  available: boolean;
  items: number;
  path: string;
  scanning: boolean;
}

export type Lifecycle = "final" | "abandoned" | "pending";

/** What this connection may do before it is told no. */
export interface Limits {
  maxBatch: number;
  /** Commands per second, averaged; short bursts above it are fine. */
  maxCommandsPerSecond: number;
  maxMessageBytes: number;
  /** Bytes that may wait for the client before it is cut off. */
  maxQueueBytes: number;
  maxSubscriptions: number;
}

/** A named place on the timeline. */
export interface Marker {
  arrangement?: ArrangementId;
  /** Ticks or flicks, as `timebase` says. */
  at?: Moment;
  id?: MarkerId;
  markerKind?: MarkerKind;
  name?: string;
  timebase?: Timebase;
}

/** Id of a marker. */
export type MarkerId = string;

export type MarkerKind = "cue" | "locator" | "loopStart" | "loopEnd" | "chapter";

/** What to list. */
export interface MediaFilter {
  availability?: Availability | null;
  kind?: MediaKind | null;
  lifecycle?: Lifecycle | null;
  tag?: string | null;
  /** Part of the name or path, in any case. */
  text?: string | null;
  /** Items that no clip plays. */
  unused?: boolean;
}

/** Id of a media item. */
export type MediaId = string;

/** A recording, sample, MIDI file or film that clips name by id and never by path. */
export interface MediaItem {
  /** Derived or learned: `bpm`, `key`, `instrument`. */
  attributes?: Record<string, string>;
  /** Where it was seen last; what is true now is derived, not stored. */
  availability?: Availability;
  /** Hash of the decoded PCM, its format and the decoder's version. */
  content?: Hash | null;
  /** Hash of the whole file. */
  file?: BlobRef | null;
  format?: AudioFormat;
  id?: MediaId;
  lifecycle?: Lifecycle;
  /** What a bounce or freeze was made from. */
  lineage?: EntityId[];
  mediaKind?: MediaKind;
  name?: string;
  origin?: MediaOrigin;
  storage?: MediaStorage;
  tags?: string[];
}

export type MediaKind = "audio" | "midi" | "video" | "analysis";

export type MediaOrigin = "recorded" | "imported" | "generated" | "external";

/** Where the file lies. */
export interface MediaStorage {
  backend?: StorageBackend;
  /** Relative to the project's `Media/` for `project`, else absolute. */
  path?: string;
  /** The provider's own id, for cloud storage. */
  providerId?: string | null;
  /** Name or id of the volume, for external drives. */
  volume?: string | null;
}

export type MeterKind = "level" | "loudness" | "spectrum" | "phase" | "transport";

/** What one stretch of a frame's samples means. */
export interface MeterSlot {
  channel: ChannelId;
  /** Index of the first sample. */
  first: number;
  samples: number;
}

/** Everything in a MIDI clip that is no note. */
export interface MidiEvent {
  at?: Ticks;
  /** 0 to 15. */
  channel?: number;
  clip?: ClipId;
  id?: MidiEventId;
  message?: MidiMessage;
}

/** Id of a MIDI event. */
export type MidiEventId = string;

export type MidiMessage = "allNotesOff" | {
  controller: {
    number: number;
    value: number;
  };
} | {
  pitchBend: {
    value: number;
  };
} | {
  channelPressure: {
    value: number;
  };
} | {
  polyPressure: {
    key: number;
    value: number;
  };
} | {
  program: {
    bank?: number | null;
    number: number;
  };
} | {
  sysEx: {
    bytes: number[];
  };
};

export interface MidiPort {
  active: boolean;
  id: string;
  input: boolean;
  name: string;
}

export interface MissingMedia {
  media: MediaId;
  name: string;
  path: string;
}

/** A modulator's output added to a parameter. */
export interface ModulationRoute {
  bipolar?: boolean;
  /** Share of the parameter's range, −1 to 1. */
  depth?: number;
  enabled?: boolean;
  from?: NodeId;
  id?: ModulationRouteId;
  /** Control output of the modulator. */
  port?: number;
  to?: ParameterRef;
}

/** Id of a modulation route. */
export type ModulationRouteId = string;

/** A position or length whose unit the owner's [`Timebase`] tells: ticks when musical, flicks when absolute. */
export type Moment = number;

/** A stretch of an envelope, in its timebase; the end is not part of it. */
export interface MomentRange {
  end: Moment;
  start: Moment;
}

export type Monitor = "off" | "on" | "auto";

/** An event to be made. */
export interface NewEvent {
  at: Ticks;
  /** 0 to 15. */
  channel?: number;
  message: MidiMessage;
}

/** A note to be made. */
export interface NewNote {
  /** 0 to 15. */
  channel?: number;
  expression?: ExpressionPoint[];
  length: Ticks;
  mute?: boolean;
  /** Key number, 0 to 127; 60 is middle C. */
  pitch: number;
  /** 0 to 1; 1 when absent. */
  probability?: number | null;
  releaseVelocity?: number | null;
  start: Ticks;
  /** Cents above the key, −100 to 100. */
  tuning?: number | null;
  /** 16 bits; 51,200 when absent. */
  velocity?: number | null;
}

/** A point to be made. */
export interface NewPoint {
  /** In the envelope's timebase. */
  at: Moment;
  /** How the curve runs to the next point. */
  shape?: PointShape;
  value: number;
}

/** The stretch of media that a new audio clip plays. */
export interface NewRegion {
  media: MediaId;
  sourceBpm?: number | null;
  /** Frames; 0 is to the end. */
  sourceLength?: number;
  /** First frame, in frames of the media. */
  sourceStart?: number;
}

/** What undo or redo would do next. */
export interface NextStep {
  contexts: HistoryContext[];
  entry: number;
  label: string;
}

export interface NodeFault {
  count: number;
  node: EntityId;
  reason: string;
}

/** Id of a node. */
export type NodeId = string;

/** A kind of processor that this Pulse can host. */
export interface NodeKindInfo {
  /** `effect`, `instrument`, `modulator`, `utility`. */
  category: string;
  /** The same input gives the same output on every machine. */
  deterministic: boolean;
  doc: string;
  inputs: PortInfo[];
  /** `pulse.eq`. */
  kind: string;
  name: string;
  outputs: PortInfo[];
  parameters: ParameterInfo[];
  version: number;
}

export interface NodeLoad {
  /** Blocks that were measured. */
  blocks: number;
  /** Its kind: `pulse.eq`. */
  kind: string;
  /** Microseconds per block: mean and worst. */
  meanUs: number;
  /** The entity that the node works for. */
  node: EntityId;
  /** What it does for it: `node`, `strip`, `send`, `lane`, `in`. */
  role: string;
  /** Part of the time that there is, 0 to 1. */
  share: number;
  track?: TrackId | null;
  worstUs: number;
}

/** Alternatives for one place in a chain: one of them sounds. */
export interface NodeStack {
  /** Index of the alternative that sounds. */
  active?: number;
  alternatives?: StackAlternative[];
  channel?: ChannelId;
  id?: NodeStackId;
  name?: string;
  order?: OrderKey;
}

/** Id of a node stack. */
export type NodeStackId = string;

/** The level that a render is brought to. */
export type Normalise = {
  peak: number;
} | {
  loudness: number;
};

/** One note of a MIDI clip; times are relative to the clip's content. */
export interface Note {
  /** 0 to 15. */
  channel?: number;
  clip?: ClipId;
  expression?: ExpressionPoint[];
  id?: NoteId;
  /** More than 0. */
  length?: Ticks;
  mute?: boolean;
  /** Key number, 0 to 127; 60 is middle C. */
  pitch?: number;
  /** Chance that it plays, 0 to 1; decided by the note's id and the pass. */
  probability?: number;
  releaseVelocity?: number;
  start?: Ticks;
  /** Cents above the key, −100 to 100. */
  tuning?: number;
  /** 16 bits; 0 is not a note-off. */
  velocity?: number;
}

/** What changes about one note; absent fields stay. */
export interface NoteChange {
  channel?: number | null;
  expression?: ExpressionPoint[] | null;
  length?: Ticks | null;
  mute?: boolean | null;
  note: NoteId;
  pitch?: number | null;
  probability?: number | null;
  releaseVelocity?: number | null;
  start?: Ticks | null;
  tuning?: number | null;
  velocity?: number | null;
}

/** Id of a note. */
export type NoteId = string;

/** A fractional key, compared byte by byte. The first letter says how long the integer part is (`a` = one digit, `b` = two …; `Z` = minus one digit …), so that appending costs a logarithm of the number of siblings and not one digit for every few of them. */
export type OrderKey = string;

/** What to do about clips that are in the way. */
export type Overlap = "allow" | "trim" | "refuse";

export interface PadAssignment {
  clip?: ClipId | null;
  key?: number | null;
  kit?: KitId | null;
}

/** A grid of pads and what each plays. */
export interface PadWorkspace {
  /** 1 to 16. */
  columns?: number;
  id?: PadWorkspaceId;
  name?: string;
  /** `row,column` to what the pad plays. */
  pads?: Record<string, PadAssignment>;
  /** 1 to 16. */
  rows?: number;
  track?: TrackId | null;
}

/** Id of a pad workspace. */
export type PadWorkspaceId = string;

/** A page of a list. */
export interface Page {
  /** How many to give at most; 100 when absent, 1,000 at most. */
  limit?: number | null;
  /** How many to skip. */
  offset?: number;
}

export type PanLaw = "minus3" | "minus4_5" | "minus6" | "balance";

/** Parameters that move together by the same amount. */
export interface ParameterGroup {
  enabled?: boolean;
  id?: ParameterGroupId;
  members?: ParameterRef[];
  name?: string;
}

/** Id of a parameter group. */
export type ParameterGroupId = string;

/** A parameter as a client shows it. */
export interface ParameterInfo {
  automatable: boolean;
  /** Names of the values of a `choice`, from `min` on. */
  choices: string[];
  /** How a control moves through the range: `linear`, `log`, `toggle`, `choice`. */
  curve: string;
  default: number;
  /** `freq`: the key in a node's `params`. */
  id: string;
  /** Changing it compiles the graph anew. */
  layout: boolean;
  max: number;
  min: number;
  name: string;
  /** `Hz`, `dB`, `ms`; empty for a plain number. */
  unit: string;
}

/** One parameter follows another. */
export interface ParameterLink {
  enabled?: boolean;
  id?: ParameterLinkId;
  offset?: number;
  /** target = source × scale + offset, in normalised range; −10 to 10 each. */
  scale?: number;
  source?: ParameterRef;
  target?: ParameterRef;
}

/** Id of a parameter link. */
export type ParameterLinkId = string;

/** A parameter of one node, channel or send. */
export interface ParameterRef {
  parameter?: string;
  target?: EntityId | null;
}

export interface ParameterState {
  /** An envelope moves it. */
  automated: boolean;
  isDefault: boolean;
  parameter: ParameterInfo;
  value: number;
}

/** A value for one parameter. */
export interface ParameterValue {
  /** `freq`; of a channel `gainDb`, `pan`, `width`. */
  parameter: string;
  /** A node, a channel or a send. */
  target: EntityId;
  /** In the parameter's own unit. */
  value: number;
}

/** What becomes of a draft whose branch was moved meanwhile. */
export type ParkedChoice = "adopt" | "discard";

/** The edits that were parked when a branch was left. */
export interface ParkedDraft {
  /** What adopting it does to where the branch stands, and what stays undecided. */
  adopted: EntityDiff[];
  /** The commit that the draft stands on. */
  base: Hash;
  /** The branch was moved away from `base`. */
  baseMoved: boolean;
  branch: string;
  /** What the draft did. */
  changes: EntityDiff[];
  conflicts: ConflictInfo[];
  counts: DiffCounts;
  /** Where the branch stands. */
  head: Hash;
}

/** Who speaks or is spoken to. */
export type Party = "aura" | "pulse" | "signal" | "composer" | "tool";

/** A place: exactly one of the fields. */
export interface Place {
  flicks?: Flicks | null;
  marker?: MarkerId | null;
  section?: SectionId | null;
  /** Bars, beats, ticks: `17.3.240`. */
  text?: string | null;
  ticks?: Ticks | null;
}

export type PlayState = "stopped" | "playing" | "paused" | "recording" | "countingIn";

export interface PluginInfo {
  /** Crashed at a scan and is not loaded. */
  blocked: boolean;
  category: string;
  favourite: boolean;
  /** `clap`, `vst3`, `lv2`, `wasm`. */
  format: string;
  id: string;
  name: string;
  vendor: string;
  version: string;
}

/** What changes about one point; absent fields stay. */
export interface PointChange {
  at?: Moment | null;
  point: AutomationPointId;
  shape?: PointShape | null;
  value?: number | null;
}

export type PointShape = "hold" | "linear" | {
  bezier: {
    bend: number;
  };
} | "exponential";

export interface PortInfo {
  /** Audio channels. */
  channels: number;
  name: string;
  /** `audio`, `midi`, `control`. */
  signal: string;
}

/** A port of a node, by number. */
export interface PortRef {
  /** None is the channel itself: its input as a source, its strip as a target. */
  node?: NodeId | null;
  port?: number;
}

/** Where a message stands in its channel. */
export interface Position {
  /** Changes when the counting starts afresh (a restart, another project). */
  epoch: number;
  /** Counts up by one per message of the channel. */
  sequence: number;
}

export interface Preview {
  base: Hash[];
  changes: EntityDiff[];
  conflicts: ConflictInfo[];
  counts: DiffCounts;
  /** Ours is part of theirs, so that no merge commit is needed. */
  fastForward: boolean;
  /** Nothing to do: theirs is part of ours. */
  upToDate: boolean;
}

/** How soon a message is dealt with; order per connection holds inside one priority. */
export type Priority = "realtime" | "high" | "normal" | "low";

export type ProcessingPolicy = "auto" | "live" | "anticipative";

/** The project itself: one of these in every store. */
export interface Project {
  /** The arrangement that plays. */
  activeArrangement?: ArrangementId | null;
  artist?: string;
  comment?: string;
  id?: ProjectId;
  /** Free key and value pairs: genre, ISRC, copyright. */
  metadata?: Record<string, string>;
  /** Title of the work. */
  name?: string;
  /** Preferred rate of playback and render, in Hz (8,000 to 384,000). */
  sampleRate?: number;
  tags?: string[];
}

/** Id of a project. */
export type ProjectId = string;

/** What is open. */
export interface ProjectInfo {
  activeArrangement?: ArrangementId | null;
  /** What is open; the short form of a commit behind an `@` where no branch is. */
  branch: string;
  /** The commit that is open without a branch. */
  detached?: Hash | null;
  dirty: boolean;
  /** Number of entities of each kind. */
  entities: Record<string, number>;
  head?: Hash | null;
  name: string;
  path: string;
  project: ProjectId;
  readOnly: boolean;
  revision: number;
  root: Hash;
}

/** A strength and a raster for moving things onto it. */
export interface QuantiseTo {
  /** Move ends onto the raster as well. */
  ends?: boolean;
  /** Raster: 11,289,600 ticks are a sixteenth. */
  grid: Ticks;
  /** A groove in place of the even raster. */
  groove?: GrooveId | null;
  /** 0 (nothing) to 1 (all the way); 1 when absent. */
  strength?: number | null;
  /** Lateness of every second step, 0 to 1 of a step. */
  swing?: number | null;
}

export interface RecentProject {
  /** The folder is there. */
  available: boolean;
  name: string;
  opened: Timestamp;
  path: string;
}

/** What a pass does with what is there. */
export type RecordMode = "takes" | "overdub" | "replace";

export interface RelinkedItem {
  media: MediaId;
  path: string;
  /** The content is the same as before. */
  sameContent: boolean;
}

/** What a render did. It is the `result` of the job. */
export interface RenderReport {
  clips: ClipCounts;
  /** Nodes that failed and were left out, and those that make other sound each time. */
  failedNodes: string[];
  /** Files that were written. */
  files: RenderedFile[];
  frames: number;
  mismatched: number;
  /** Media of clips in the range that were not there; they are silent. */
  missing: MissingMedia[];
  /** By how much everything was turned to reach the level of `normalise`. */
  normalisedDb?: number | null;
  /** Hash of the samples of the mix, before conversion to the file's format. */
  pcmHash: Hash;
  rate: number;
  /** Pieces that the cache had noted and lost, or that were damaged there: made again. */
  remade: number;
  segments: SegmentCounts;
  /** Hits that were rendered again to compare, and those that were wrong. */
  verified: number;
  volatileNodes: string[];
  wallMs: number;
  xRealtime: number;
}

/** How a render is made and written. */
export interface RenderSettings {
  format?: SampleFormat;
  /** Where to start, where there is no `range`: `9.1`; the beginning when absent. */
  from?: Place | null;
  /** One channel: the mean of left and right. */
  mono?: boolean;
  /** Leave the cache out. */
  noCache?: boolean;
  /** Round to the format without dither. */
  noDither?: boolean;
  /** Bring the mix (or the loudest stem, without a mix) to a level. Stems are turned by the same amount, so that they still sum to the mix. */
  normalise?: Normalise | null;
  /** Both of `range`; the whole arrangement when absent. */
  range?: TimeRange | null;
  /** Hz; the project's when absent. */
  rate?: number | null;
  /** Render on until all is silent, at most this long after the end. */
  tail?: Flicks | null;
  threads?: number | null;
  /** Where to end, where there is no `range`; where all is silent when absent. */
  to?: Place | null;
  /** Render a sample of what the cache has again and compare. */
  verify?: boolean;
}

export interface RenderedFile {
  /** Samples beyond full scale that the file's format cut off. */
  clippedSamples: number;
  frames: number;
  loudnessLufs?: number | null;
  media?: MediaId | null;
  path: string;
  /** Hash of its samples, before conversion to the file's format. */
  pcmHash: Hash;
  /** True peak. */
  peakDb?: number | null;
  rangeLu?: number | null;
  shortTermMaxLufs?: number | null;
  /** What it is of: a channel, or the mix when absent. */
  source?: EntityId | null;
}

/** How one conflict is decided. */
export type Resolution = "ours" | "theirs" | "base" | {
  value: {
    value: unknown;
  };
};

/** A revision: commit id or unique prefix, branch, tag, `@` (working copy), `@~N`, `op:N` (history entry). */
export type Rev = string;

/** One edge of the graph of channels. */
export interface RouteEdge {
  /** Delay in frames, of an explicit loop. */
  feedback?: number | null;
  /** A channel, or the node that a side chain feeds. */
  from: EntityId;
  /** The entity that makes the edge, where it has one of its own. */
  id?: EntityId | null;
  kind: RouteKind;
  to: EntityId;
}

export type RouteKind = "output" | "send" | "sidechain" | "modulation" | "input";

export type SampleFormat = "int16" | "int24" | "float32";

/** A row of the launcher: what starts together. */
export interface Scene {
  arrangement?: ArrangementId;
  /** Tempo that launching sets, 1 to 1,000; none leaves it. */
  bpm?: number | null;
  id?: SceneId;
  name?: string;
  order?: OrderKey;
}

/** Id of a scene. */
export type SceneId = string;

/** Part of a project: what a revert, a pick or a filtered diff is about. Several fields narrow it down together; none is everything. */
export interface Scope {
  /** Fields of these histories. */
  contexts?: HistoryContext[];
  /** These entities and what they own. */
  entities?: EntityId[];
}

/** A named stretch of an arrangement: verse, chorus. */
export interface Section {
  arrangement?: ArrangementId;
  id?: SectionId;
  /** More than 0 ticks. */
  length?: Ticks;
  name?: string;
  start?: Ticks;
}

/** Id of a section. */
export type SectionId = string;

/** Pieces of work: all, taken from the cache, computed. */
export interface SegmentCounts {
  hit: number;
  rendered: number;
  total: number;
}

/** A copy of a channel's signal to another channel. */
export interface Send {
  /** Delay in frames that makes a loop legal. */
  feedback?: number | null;
  from?: ChannelId;
  /** dB, −144 (silence) to +24. */
  gainDb?: number;
  id?: SendId;
  mode?: SendMode;
  mute?: boolean;
  order?: OrderKey;
  /** −1 to 1. */
  pan?: number;
  tap?: SignalTap;
  to?: ChannelId;
}

/** Id of a send. */
export type SendId = string;

export type SendMode = "audio" | "midi";

/** Where the session stands. */
export type SessionState = "unloaded" | "loading" | "loaded" | "saving" | "closing";

export type Severity = "info" | "warning" | "error";

/** A channel's signal heard by a node's side input. */
export interface SidechainRoute {
  feedback?: number | null;
  from?: ChannelId;
  id?: SidechainRouteId;
  /** Input port of the node; 1 is its first side input. */
  port?: number;
  tap?: SignalTap;
  to?: NodeId;
}

/** Id of a sidechain route. */
export type SidechainRouteId = string;

export type SignalTap = "preFader" | "postFader";

/** A time signature that holds from here. */
export interface SignaturePoint {
  arrangement?: ArrangementId;
  at?: Ticks;
  /** A power of two from 1 to 64. */
  denominator?: number;
  id?: SignaturePointId;
  /** 1 to 64. */
  numerator?: number;
}

/** Id of a signature point. */
export type SignaturePointId = string;

/** The settings of one zone; absent fields stay, or are the defaults of a new one. */
export interface SlotSettings {
  chokeGroup?: number | null;
  gainDb?: number | null;
  keyHigh?: number | null;
  keyLow?: number | null;
  loopEnd?: number | null;
  loopStart?: number | null;
  media?: MediaId | null;
  name?: string | null;
  pan?: number | null;
  root?: number | null;
  roundRobin?: number | null;
  start?: number | null;
  trigger?: TriggerMode | null;
  tuning?: number | null;
  velocityHigh?: number | null;
  velocityLow?: number | null;
}

export interface StackAlternative {
  name?: string;
  nodes?: NodeId[];
}

export type StorageBackend = "project" | "cloud" | "external" | "reference";

/** What the store holds. */
export interface StoreReport {
  bytes: number;
  entities: number;
  journalBytes: number;
  journalRows: number;
  nodesCached: number;
}

/** How much of everything the template `stress` has: each clip with four notes. */
export interface StressSize {
  /** Clips on each of them; 2,000,000 in all at most. */
  clips: number;
  /** Instrument tracks, 1 to 100,000. */
  tracks: number;
}

export type StretchMode = "off" | "repitch" | "stretch";

export interface TagInfo {
  commit: Hash;
  message?: string | null;
  name: string;
}

/** One recording pass over a stretch of a lane. */
export interface Take {
  clip?: ClipId;
  id?: TakeId;
  lane?: LaneId;
  name?: string;
  order?: OrderKey;
  /** 0 (unrated) to 5. */
  rating?: number;
}

/** Id of a take. */
export type TakeId = string;

export type Template = "empty" | "demo" | "stress";

/** A tempo that holds from here, or moves linearly in ticks to the next point. */
export interface TempoPoint {
  arrangement?: ArrangementId;
  at?: Ticks;
  /** Quarter notes per minute, 1 to 1,000. */
  bpm?: number;
  id?: TempoPointId;
  shape?: TempoShape;
}

/** Id of a tempo point. */
export type TempoPointId = string;

/** How the tempo gets from one point to the next. */
export type TempoShape = "step" | "ramp";

/** Musical time: a position or length in ticks, [`Ticks::PER_QUARTER`] to the quarter note. */
export type Ticks = number;

/** What an edit of time moved. */
export interface TimeEdited {
  deleted: EntityId[];
  /** Clips that were moved. */
  moved: number;
  /** Clips that were cut. */
  split: CopyOf[];
}

/** A stretch of musical time; the end is not part of it. */
export interface TimeRange {
  end: Ticks;
  start: Ticks;
}

/** What the positions and lengths of a clip or an envelope are counted in. */
export type Timebase = "musical" | "absolute";

/** ISO 8601; Pulse writes UTC with milliseconds. */
export type Timestamp = string;

/** What to hear of. A name without a domain is an error; a domain without names is all of it. */
export interface Topic {
  domain: string;
  /** Names of events; empty is all of the domain's. */
  names?: string[];
}

/** A row of the arrangement; tracks nest. */
export interface Track {
  /** The variant that plays; none is the track itself. */
  activeVariant?: VariantId | null;
  armed?: boolean;
  arrangement?: ArrangementId;
  /** The render that stands in for the track while it is frozen. */
  frozen?: MediaId | null;
  id?: TrackId;
  monitor?: Monitor;
  mute?: boolean;
  name?: string;
  order?: OrderKey;
  /** The folder or group that holds it. */
  parent?: TrackId | null;
  /** Who renders the track: the live engine or the one that works ahead. */
  policy?: ProcessingPolicy;
  solo?: boolean;
  /** Takes part in solo of others without being silenced. */
  soloSafe?: boolean;
  trackKind?: TrackKind;
}

/** How much differs below one track; none is what lies outside of tracks. */
export interface TrackCounts {
  added: number;
  modified: number;
  name: string;
  removed: number;
  track?: EntityId | null;
}

/** Id of a track. */
export type TrackId = string;

export type TrackKind = "audio" | "instrument" | "video" | "folder" | "group";

/** The whole of the transport. */
export interface TransportState {
  /** Quarter notes per minute at this place. */
  bpm: number;
  /** Bars that are counted before recording. */
  countIn: number;
  flicks: Flicks;
  loopEnabled: boolean;
  loopRange?: TimeRange | null;
  metronome: boolean;
  preRoll: Ticks;
  punchEnabled: boolean;
  punchRange?: TimeRange | null;
  state: PlayState;
  /** Bars, beats and ticks, counted from 1: `17.3.240`. */
  text: string;
  /** Where it stands, as of the last report of the engine. */
  ticks: Ticks;
}

export type TriggerMode = "oneShot" | "gate";

/** An alternative (A, B, C) of a track or a clip: an overlay of fields and members that is laid over the original when it plays. */
export interface Variant {
  id?: VariantId;
  name?: string;
  order?: OrderKey;
  /** Root of an overlay that is kept beside the tree, as older projects do; zero where it lies in the tree. */
  overlay?: Hash;
  scope?: VariantScope;
  /** The track or clip that it is a variant of. */
  subject?: EntityId | null;
}

/** Id of a variant. */
export type VariantId = string;

export type VariantScope = "track" | "clip";

/** One step of a view's delta. */
export type ViewChange = {
  put: {
    /** The key that it follows; first when null, unchanged when absent. */
    after?: string | null;
    key: string;
    /** Path of the list inside the view's data: `tracks`, `tracks/trk_…/clips`. */
    list: string;
    value: unknown;
  };
} | {
  remove: {
    key: string;
    list: string;
  };
} | {
  set: {
    field: string;
    value: unknown;
  };
};

export interface ViewInfo {
  doc: string;
  /** Kinds of entity that `subject` may name; empty means none. */
  subjects: EntityKind[];
  view: ViewName;
  windowed: boolean;
}

/** Looks of one entity. */
export interface ViewMeta {
  collapsed?: boolean;
  /** `#rrggbb`. */
  colour?: string | null;
  /** Height of a row, in rows of text. */
  height?: number | null;
  hidden?: boolean;
  id?: ViewMetaId;
  subject?: EntityId | null;
  /** Place in the node view. */
  x?: number | null;
  y?: number | null;
}

/** Id of a view metadata. */
export type ViewMetaId = string;

/** The views that there are. */
export type ViewName = "arrangement" | "mixer" | "track" | "clip" | "automation" | "routing" | "cohorts" | "media" | "history" | "branches" | "diff" | "timeline";

/** What a view is about. */
export interface ViewQuery {
  /** The revision to compare with, for `diff`. */
  from?: Rev | null;
  /** The revision; the working copy when absent. Others never change. */
  rev?: Rev | null;
  /** The track, clip or lane of views that show one; else the arrangement, where the active one is not meant. */
  subject?: EntityId | null;
  view: ViewName;
  /** The part that is on the screen; all of it when absent. */
  window?: Window | null;
}

/** A view's content at one revision. */
export interface ViewState {
  /** The content; its shape depends on the view. */
  data: unknown;
  /** Hash of the view's content; deltas name it. */
  hash: Hash;
  revision: number;
  /** Root hash of the revision. */
  root: Hash;
}

/** A subscription of `view.subscribe`. */
export interface ViewSubscription {
  subscription: number;
  view: ViewName;
}

/** Something that everybody should know until it is over. */
export interface Warning {
  /** Where it comes from: `media`, `hardware`. */
  domain: string;
  /** What to do about it. */
  hint?: string | null;
  id: string;
  message: string;
  severity: Severity;
  since: Timestamp;
}

export interface WarpAnchor {
  /** Place inside the clip's content, in its timebase. */
  at?: Moment;
  /** Frames of the media from its start. */
  source?: number;
}

/** The visible part of a view. */
export interface Window {
  /** First row: a track, a channel, an entry. */
  firstRow?: number | null;
  from?: Ticks | null;
  /** Ticks per pixel, so that what is too small to see is left out. */
  resolution?: Ticks | null;
  rows?: number | null;
  to?: Ticks | null;
}

/** The fields as they stand on the wire, for reading and for the JSON Schema. */
export interface Envelope {
  by?: Cause | null;
  /** The id of the command that this answers, else null. */
  cid?: string | null;
  domain: string;
  /** Set when `kind` is `error`. */
  error?: ErrorBody | null;
  expectRevision?: number | null;
  /** Unique per instance of the sender; a command sent again keeps its id and is answered, not done again. */
  id: string;
  kind: Kind;
  /** Unqualified, present tense, camelCase; a command's result has its name. */
  name: string;
  /** Who sends; `tool` when absent. */
  origin?: Party | null;
  /** What the domain and the name say it is; `{}` when absent. */
  payload?: Record<string, unknown>;
  position?: Position | null;
  /** `normal` when absent. */
  priority?: Priority | null;
  /** Who is meant; `pulse` when absent. */
  target?: Party | null;
  /** When the sender made it, ISO 8601 in UTC. */
  ts?: Timestamp | null;
  /** Version of the envelope: 1. */
  v: number;
}

/** Introduces a client. It is the first message of a connection, and its encoding is that of the message itself unless `encoding` says otherwise. `clientId` names the program and decides who is manager, `instanceId` one run of it. An instance that connects again keeps its undo history and is answered, not obeyed again, when it repeats a command. */
export interface ClientHelloCommand {
  /** Who edits, as history and commits will say. */
  author?: string | null;
  capabilities?: Capabilities;
  /** The program: `aura`, `pulse-cli`. */
  clientId: string;
  /** Encoding of everything after the reply. */
  encoding?: Encoding | null;
  /** This run of it, for instance a UUID. */
  instanceId: string;
  /** For people. */
  name?: string | null;
  /** Versions of the protocol that it speaks, the best first; `[1]` when absent. */
  protocols?: number[];
  /** Required over TCP. */
  token?: string | null;
  /** Version of the client. */
  version?: string | null;
}

/** What `Hello` answers. */
export interface ClientHelloReply {
  encoding: Encoding;
  /** A heartbeat comes at least this often, in milliseconds; 0 is never. */
  heartbeatMs: number;
  isManager: boolean;
  limits: Limits;
  managerClientId?: string | null;
  /** Path of the open project. */
  project?: string | null;
  protocol: number;
  /** Name and version of the server. */
  server: string;
  /** Changes whenever the server starts. */
  serverInstance: string;
  serverVersion: string;
}

/** Ends the connection after the reply. Subscriptions and streams end; what the client was holding (gestures) is let go as if it had been finished. */
export interface ClientGoodbyeCommand {
  reason?: string | null;
}

/** Nothing to say but that it was done. */
export interface ClientGoodbyeReply {}

/** Asks whether the other side is alive. Both sides may send it; the answer is the event of the same name. */
export interface ClientHeartbeatCommand {}

/** What `Heartbeat` answers. */
export interface ClientHeartbeatReply {
  /** Milliseconds since the server started. */
  uptimeMs: number;
}

/** Ends Pulse gracefully: the draft is kept, every client is told. Only the manager may do so while there is one. */
export interface ClientShutdownCommand {
  reason?: string | null;
}

/** Nothing to say but that it was done. */
export interface ClientShutdownReply {}

/** Makes this client the manager: the one that Pulse belongs to and without which it may shut down. Fails while another manager is connected. */
export interface ClientClaimManagerCommand {}

/** Nothing to say but that it was done. */
export interface ClientClaimManagerReply {}

/** Lists the connected clients. */
export interface ClientListCommand {}

/** What `List` answers. */
export interface ClientListReply {
  clients: ClientInfo[];
}

/** Changes what the client said about itself in its hello. */
export interface ClientUpdateCommand {
  author?: string | null;
  capabilities?: Capabilities | null;
  name?: string | null;
}

/** Nothing to say but that it was done. */
export interface ClientUpdateReply {}

/** Subscribes to events, by domain and name. Without a subscription a client gets the answers to its own commands and nothing else. With `since`, what was missed is sent if it is still there (`recovered`); else the client has to read the state again. */
export interface ClientSubscribeCommand {
  /** The last position that the client has seen. */
  since?: Position | null;
  topics: Topic[];
}

/** What `Subscribe` answers. */
export interface ClientSubscribeReply {
  /** Where the channel stands now. */
  position: Position;
  /** Nothing between `since` and now is missing. */
  recovered: boolean;
  /** Names the subscription in `client.unsubscribe`. */
  subscription: number;
}

/** Ends a subscription of `client.subscribe`. */
export interface ClientUnsubscribeCommand {
  subscription: number;
}

/** Nothing to say but that it was done. */
export interface ClientUnsubscribeReply {}

/** Lists the subscriptions and streams of this connection. */
export interface ClientSubscriptionsCommand {}

/** What `Subscriptions` answers. */
export interface ClientSubscriptionsReply {
  events: EventSubscription[];
  streams: number[];
  views: ViewSubscription[];
}

/** Tells where session, engine and background work stand. */
export interface SessionStatusCommand {}

/** What `Status` answers. */
export interface SessionStatusReply {
  branch?: string | null;
  clients: number;
  /** There are edits since the last commit. */
  dirty: boolean;
  engine: EngineState;
  jobs: Job[];
  /** Path of the open project. */
  project?: string | null;
  readOnly: boolean;
  /** Counts transactions since the project was made. */
  revision: number;
  root?: Hash | null;
  state: SessionState;
  warnings: Warning[];
}

/** Lists the warnings that stand. */
export interface SessionWarningsCommand {}

/** What `Warnings` answers. */
export interface SessionWarningsReply {
  warnings: Warning[];
}

/** Takes a warning away for everybody. It comes back if its cause does. */
export interface SessionDismissWarningCommand {
  warning: string;
}

/** Nothing to say but that it was done. */
export interface SessionDismissWarningReply {}

/** Stops the audio engine and starts it again. Edits are not touched. */
export interface SessionRestartEngineCommand {
  /** Leave plugins out that run in the process. */
  safeMode?: boolean;
}

/** Nothing to say but that it was done. */
export interface SessionRestartEngineReply {}

/** Lists projects that were open lately. */
export interface SessionRecentCommand {
  page?: Page;
}

/** What `Recent` answers. */
export interface SessionRecentReply {
  projects: RecentProject[];
}

/** Makes a project in a new folder and opens it. */
export interface ProjectNewCommand {
  /** Pins the source of ids, so that a replay gives the same ones: 32 hex digits. */
  actor?: string | null;
  /** Title; the name of the folder when absent. */
  name?: string | null;
  /** Absolute path of the folder; it must be empty or not exist. */
  path: string;
  /** The size of `stress`; 100 tracks with 50 clips each when absent. */
  stress?: StressSize | null;
  template?: Template | null;
}

/** What `New` answers. */
export interface ProjectNewReply {
  info: ProjectInfo;
}

/** Opens a project. With a draft that nobody has decided about and without `draft`, it opens nothing and answers what the draft is. */
export interface ProjectOpenCommand {
  draft?: DraftChoice | null;
  path: string;
  readOnly?: boolean;
}

/** What `Open` answers. */
export interface ProjectOpenReply {
  /** Set when a decision is needed, or when a draft was adopted. */
  draft?: DraftInfo | null;
  /** Set when the project is open. */
  info?: ProjectInfo | null;
}

/** Closes the project. The draft stays and is there at the next open. */
export interface ProjectCloseCommand {}

/** Nothing to say but that it was done. */
export interface ProjectCloseReply {}

/** Commits what was edited on the current branch. Answers the present commit if nothing was. */
export interface ProjectSaveCommand {
  message?: string | null;
}

/** What `Save` answers. */
export interface ProjectSaveReply {
  commit: Hash;
  /** A commit was made. */
  created: boolean;
}

/** Copies the project to a new folder, with its history, and goes on there. */
export interface ProjectSaveAsCommand {
  /** Copy referenced files into the new folder as well. */
  collectMedia?: boolean;
  name?: string | null;
  path: string;
}

/** What `SaveAs` answers. */
export interface ProjectSaveAsReply {
  info: ProjectInfo;
}

/** Makes the draft durable now. Every acknowledged edit is durable already; this also writes a checkpoint, so that the next open is fast. */
export interface ProjectSaveDraftCommand {}

/** What `SaveDraft` answers. */
export interface ProjectSaveDraftReply {
  revision: number;
  root: Hash;
}

/** Sets aside all edits since the last commit. They stay in the history and `history.jump` brings them back. */
export interface ProjectDiscardDraftCommand {}

/** Nothing to say but that it was done. */
export interface ProjectDiscardDraftReply {
  edit?: EditReceipt;
}

/** Changes the title. */
export interface ProjectRenameCommand {
  name: string;
}

/** Nothing to say but that it was done. */
export interface ProjectRenameReply {
  edit?: EditReceipt;
}

/** Moves the project's folder. The project stays open. */
export interface ProjectMoveCommand {
  path: string;
}

/** Nothing to say but that it was done. */
export interface ProjectMoveReply {}

/** Changes settings of the project. */
export interface ProjectUpdateCommand {
  activeArrangement?: ArrangementId | null;
  artist?: string | null;
  comment?: string | null;
  /** Preferred rate of playback and render, in Hz. */
  sampleRate?: number | null;
}

/** Nothing to say but that it was done. */
export interface ProjectUpdateReply {
  edit?: EditReceipt;
}

/** Tells what is open. */
export interface ProjectInfoCommand {}

/** What `Info` answers. */
export interface ProjectInfoReply {
  /** None while no project is open. */
  info?: ProjectInfo | null;
}

/** Gives the whole project, or the named entities, as records. Large projects are better read through views. Entities come in key order; `after` continues. */
export interface ProjectSnapshotCommand {
  /** The last entity of the page before. */
  after?: EntityId | null;
  /** Entities per page; 1,000 when absent. */
  limit?: number | null;
  rev?: Rev | null;
  scope?: Scope;
}

/** What `Snapshot` answers. */
export interface ProjectSnapshotReply {
  entities: AnyEntity[];
  /** There are more. */
  more: boolean;
  revision: number;
  root: Hash;
}

/** Gives single entities by id. */
export interface ProjectGetCommand {
  ids: EntityId[];
  rev?: Rev | null;
}

/** What `Get` answers. */
export interface ProjectGetReply {
  entities: AnyEntity[];
  /** Ids that name nothing at this revision. */
  missing: EntityId[];
}

/** Finds entities by kind and name. */
export interface ProjectFindCommand {
  kind?: EntityKind | null;
  /** Part of the name, in any case. */
  name?: string | null;
  page?: Page;
}

/** What `Find` answers. */
export interface ProjectFindReply {
  entities: FoundEntity[];
}

/** Does several commands as one transaction: all of them or none, one entry of history, one event of change. A string `"$2.track"` in a payload stands for the field `track` of the reply of command 2 of the same batch (from 0; `$2.copies[0].copy` goes deeper), so that a track can be made and filled at once. Only edits may stand in a batch. */
export interface ProjectBatchCommand {
  commands: Call[];
  /** What the history calls it. */
  label?: string | null;
}

/** What `Batch` answers. */
export interface ProjectBatchReply {
  edit?: EditReceipt;
  replies: BatchReply[];
}

/** Writes a readable JSON form of the project, without loss. */
export interface ProjectExportCommand {
  path: string;
  rev?: Rev | null;
}

/** What `Export` answers. */
export interface ProjectExportReply {
  bytes: number;
  entities: number;
}

/** Replaces the project's content by what `project.export` wrote. */
export interface ProjectImportCommand {
  path: string;
}

/** What `Import` answers. */
export interface ProjectImportReply {
  edit?: EditReceipt;
  entities: number;
}

/** Commits the edits of the working copy on the current branch. */
export interface VersionCommitCommand {
  /** Commit although nothing was edited. */
  allowEmpty?: boolean;
  /** Replace the last commit instead of adding one. */
  amend?: boolean;
  message: string;
}

/** What `Commit` answers. */
export interface VersionCommitReply {
  commit: CommitInfo;
}

/** Makes a branch at a revision, and switches to it if asked. */
export interface VersionBranchCommand {
  at?: Rev | null;
  /** Move a branch that exists. */
  force?: boolean;
  name: string;
  switch?: boolean;
}

/** What `Branch` answers. */
export interface VersionBranchReply {
  branch: BranchInfo;
}

/** Lists branches. */
export interface VersionBranchesCommand {}

/** What `Branches` answers. */
export interface VersionBranchesReply {
  branches: BranchInfo[];
}

/** Renames a branch. */
export interface VersionRenameBranchCommand {
  name: string;
  to: string;
}

/** Nothing to say but that it was done. */
export interface VersionRenameBranchReply {}

/** Deletes a branch. Its commits stay as long as something reaches them. */
export interface VersionDeleteBranchCommand {
  /** Also if commits are reachable through this branch only. */
  force?: boolean;
  name: string;
}

/** Nothing to say but that it was done. */
export interface VersionDeleteBranchReply {}

/** Switches to a branch or an older revision. The draft of the branch that is left is parked there and is back when one returns. Where the branch was moved away from under its draft, nothing happens without `draft`: `project.draftPending` asks, and `version.draft` shows what it is about. */
export interface VersionSwitchCommand {
  draft?: ParkedChoice | null;
  to: Rev;
}

/** What `Switch` answers. */
export interface VersionSwitchReply {
  /** None when `to` is no branch: edits there belong to no branch yet. */
  branch?: string | null;
  /** What the draft and the branch, which was moved, changed in different ways. */
  conflicts: ConflictInfo[];
  /** Edits of an earlier visit were found and are there again. */
  draftRestored: boolean;
  head?: Hash | null;
  root: Hash;
}

/** Tells what the parked draft of a branch did, and what adopting it would do where the branch was moved meanwhile. Does nothing. */
export interface VersionDraftCommand {
  branch: string;
}

/** What `Draft` answers. */
export interface VersionDraftReply {
  /** None where nothing is parked. */
  draft?: ParkedDraft | null;
}

/** Names a revision for good. */
export interface VersionTagCommand {
  at?: Rev | null;
  force?: boolean;
  message?: string | null;
  name: string;
}

/** What `Tag` answers. */
export interface VersionTagReply {
  tag: TagInfo;
}

/** Lists tags. */
export interface VersionTagsCommand {}

/** What `Tags` answers. */
export interface VersionTagsReply {
  tags: TagInfo[];
}

/** Takes a tag away. */
export interface VersionDeleteTagCommand {
  name: string;
}

/** Nothing to say but that it was done. */
export interface VersionDeleteTagReply {}

/** Lists commits, newest first. */
export interface VersionLogCommand {
  from?: Rev | null;
  page?: Page;
  /** Only commits that touch this. */
  scope?: Scope;
}

/** What `Log` answers. */
export interface VersionLogReply {
  commits: CommitInfo[];
  more: boolean;
}

/** Shows one commit and what it changed. */
export interface VersionShowCommand {
  rev: Rev;
}

/** What `Show` answers. */
export interface VersionShowReply {
  changes: EntityDiff[];
  commit: CommitInfo;
  counts: DiffCounts;
}

/** Compares two revisions, at the cost of what differs. */
export interface VersionDiffCommand {
  /** The last commit when absent. */
  from?: Rev | null;
  page?: Page;
  scope?: Scope;
  /** The working copy when absent. */
  to?: Rev | null;
}

/** What `Diff` answers. */
export interface VersionDiffReply {
  changes: EntityDiff[];
  counts: DiffCounts;
  from: Hash;
  more: boolean;
  to: Hash;
  /** The same by track, where there is more than the page holds. */
  tracks: TrackCounts[];
}

/** Merges a revision into the working copy. What both sides changed in different ways becomes a stored conflict; the field keeps ours, and the project stays playable. */
export interface VersionMergeCommand {
  from: Rev;
  /** Message of the merge commit. */
  message?: string | null;
  /** Leave the result in the working copy. */
  noCommit?: boolean;
}

/** What `Merge` answers. */
export interface VersionMergeReply {
  /** None while conflicts remain or with `noCommit`. */
  commit?: Hash | null;
  conflicts: ConflictInfo[];
  counts: DiffCounts;
  fastForward: boolean;
  upToDate: boolean;
}

/** Tells what a merge would do, and does nothing. */
export interface VersionMergePreviewCommand {
  from: Rev;
  /** The working copy when absent. */
  into?: Rev | null;
}

/** What `MergePreview` answers. */
export interface VersionMergePreviewReply {
  preview: Preview;
}

/** Undoes a merge that is not committed. */
export interface VersionAbortMergeCommand {}

/** Nothing to say but that it was done. */
export interface VersionAbortMergeReply {}

/** Lists conflicts that nobody has decided. */
export interface VersionConflictsCommand {
  scope?: Scope;
}

/** What `Conflicts` answers. */
export interface VersionConflictsReply {
  conflicts: ConflictInfo[];
}

/** Decides conflicts. Deciding the last one does not commit. */
export interface VersionResolveCommand {
  /** All of them when empty. */
  conflicts?: ConflictId[];
  take: Resolution;
}

/** What `Resolve` answers. */
export interface VersionResolveReply {
  edit?: EditReceipt;
  remaining: number;
}

/** Undoes what a commit did, by an edit of the present. With a scope, only that part of it. */
export interface VersionRevertCommand {
  rev: Rev;
  scope?: Scope;
}

/** What `Revert` answers. */
export interface VersionRevertReply {
  changes: EntityDiff[];
  /** What could not be decided. */
  conflicts: ConflictInfo[];
  edit?: EditReceipt;
}

/** Sets entities back to how they were at a revision. */
export interface VersionRestoreCommand {
  rev: Rev;
  scope: Scope;
}

/** What `Restore` answers. */
export interface VersionRestoreReply {
  changes: EntityDiff[];
  edit?: EditReceipt;
}

/** Does what a commit of another branch did, here. With a scope, only that part of it. */
export interface VersionPickCommand {
  rev: Rev;
  scope?: Scope;
}

/** What `Pick` answers. */
export interface VersionPickReply {
  changes: EntityDiff[];
  conflicts: ConflictInfo[];
  edit?: EditReceipt;
}

/** Undoes the caller's own latest edits. An undo is an edit that is appended: nothing is ever cut out of the history, and it survives a restart. With `context`, the latest edit of that history is undone, whatever came later in others. A field that somebody changed since becomes a conflict and is never overwritten. */
export interface HistoryUndoCommand {
  context?: HistoryContext | null;
  /** 1 when absent. */
  count?: number | null;
}

/** What `Undo` answers. */
export interface HistoryUndoReply {
  conflicts: ConflictInfo[];
  revision: number;
  root: Hash;
  undone: NextStep[];
}

/** Does again what the caller undid last. */
export interface HistoryRedoCommand {
  context?: HistoryContext | null;
  count?: number | null;
}

/** What `Redo` answers. */
export interface HistoryRedoReply {
  conflicts: ConflictInfo[];
  redone: NextStep[];
  revision: number;
  root: Hash;
}

/** Goes to how things were after an entry, as one edit that can be undone. */
export interface HistoryJumpCommand {
  entry: number;
}

/** What `Jump` answers. */
export interface HistoryJumpReply {
  revision: number;
  root: Hash;
}

/** Tells what undo and redo would do, per context. */
export interface HistoryStateCommand {}

/** What `State` answers. */
export interface HistoryStateReply {
  redo?: NextStep | null;
  redoIn: Record<string, NextStep>;
  revision: number;
  undo?: NextStep | null;
  undoIn: Record<string, NextStep>;
}

/** Lists entries, newest first. */
export interface HistoryListCommand {
  /** Only those of this client. */
  clientId?: string | null;
  context?: HistoryContext | null;
  /** Only those that touch this entity. */
  entity?: EntityId | null;
  page?: Page;
}

/** What `List` answers. */
export interface HistoryListReply {
  entries: HistoryEntry[];
  more: boolean;
}

/** Shows what one entry changed. */
export interface HistoryShowCommand {
  entry: number;
}

/** What `Show` answers. */
export interface HistoryShowReply {
  changes: EntityDiff[];
  entry: HistoryEntry;
}

/** Gives a view once. */
export interface ViewGetCommand {
  query: ViewQuery;
}

/** What `Get` answers. */
export interface ViewGetReply {
  state: ViewState;
}

/** Gives a view now and whatever changes in it from now on: snapshots (`view.state`) and deltas (`view.delta`), each with its position. A delta names the hash that it stands on; if that isn't the hash of what the client has, it asks for a snapshot with `view.resync`. */
export interface ViewSubscribeCommand {
  /** What the client has from before; if it is still right, nothing is sent. */
  hash?: Hash | null;
  /** At most so many changes per second, 1 to 60; 30 when absent. */
  maxRate?: number | null;
  query: ViewQuery;
}

/** What `Subscribe` answers. */
export interface ViewSubscribeReply {
  /** None when `hash` is up to date. */
  state?: ViewState | null;
  subscription: number;
}

/** Moves the window of a subscription, as scrolling does. */
export interface ViewSetWindowCommand {
  subscription: number;
  window: Window;
}

/** What `SetWindow` answers. */
export interface ViewSetWindowReply {
  state: ViewState;
}

/** Gives the whole of a subscribed view again, and goes on from there. */
export interface ViewResyncCommand {
  subscription: number;
}

/** What `Resync` answers. */
export interface ViewResyncReply {
  state: ViewState;
}

/** Ends a subscription of `view.subscribe`. */
export interface ViewUnsubscribeCommand {
  subscription: number;
}

/** Nothing to say but that it was done. */
export interface ViewUnsubscribeReply {}

/** Names the views and what each takes. */
export interface ViewListCommand {}

/** What `List` answers. */
export interface ViewListReply {
  views: ViewInfo[];
}

/** Creates an empty arrangement with a master channel. */
export interface ArrangementCreateCommand {
  name?: string | null;
}

/** What `Create` answers. */
export interface ArrangementCreateReply {
  arrangement: ArrangementId;
  edit?: EditReceipt;
  master: ChannelId;
}

/** Deletes an arrangement with everything in it. The last one stays. */
export interface ArrangementDeleteCommand {
  arrangement: ArrangementId;
}

/** What a deletion took with it and what it left without a target. */
export interface ArrangementDeleteReply {
  /** Everything that is gone, with what was owned. */
  deleted: EntityId[];
  edit?: EditReceipt;
  /** What named one of them and names nothing now. */
  orphaned: EntityId[];
}

/** Copies an arrangement with its tracks, channels, clips and tempo map. */
export interface ArrangementDuplicateCommand {
  arrangement: ArrangementId;
  name?: string | null;
}

/** What `Duplicate` answers. */
export interface ArrangementDuplicateReply {
  arrangement: ArrangementId;
  copies: CopyOf[];
  edit?: EditReceipt;
}

/** Renames an arrangement. */
export interface ArrangementRenameCommand {
  arrangement: ArrangementId;
  name: string;
}

/** Nothing to say but that it was done. */
export interface ArrangementRenameReply {
  edit?: EditReceipt;
}

/** Changes notes and end of an arrangement. */
export interface ArrangementUpdateCommand {
  arrangement: ArrangementId;
  /** Where it ends when nothing plays longer; null lets the content decide. */
  end?: Ticks | null;
  notes?: string | null;
}

/** Nothing to say but that it was done. */
export interface ArrangementUpdateReply {
  edit?: EditReceipt;
}

/** Moves an arrangement in the list. */
export interface ArrangementMoveCommand {
  arrangement: ArrangementId;
  /** It comes before this one; last when absent. */
  before?: ArrangementId | null;
}

/** Nothing to say but that it was done. */
export interface ArrangementMoveReply {
  edit?: EditReceipt;
}

/** Makes an arrangement the one that plays. */
export interface ArrangementActivateCommand {
  arrangement: ArrangementId;
}

/** Nothing to say but that it was done. */
export interface ArrangementActivateReply {
  edit?: EditReceipt;
}

/** Names how an arrangement is at a commit. `arrangement.restoreVersion` brings it back. */
export interface ArrangementNameVersionCommand {
  arrangement: ArrangementId;
  /** The last commit when absent. */
  at?: Rev | null;
  name: string;
}

/** What `NameVersion` answers. */
export interface ArrangementNameVersionReply {
  version: ArrangementVersionInfo;
}

/** Takes the name of a version away. The commit stays. */
export interface ArrangementDeleteVersionCommand {
  arrangement: ArrangementId;
  name: string;
}

/** Nothing to say but that it was done. */
export interface ArrangementDeleteVersionReply {}

/** Lists named versions. */
export interface ArrangementVersionsCommand {
  /** Those of all arrangements when absent. */
  arrangement?: ArrangementId | null;
}

/** What `Versions` answers. */
export interface ArrangementVersionsReply {
  versions: ArrangementVersionInfo[];
}

/** Sets an arrangement with everything in it back to a named version, by an edit of the present. */
export interface ArrangementRestoreVersionCommand {
  arrangement: ArrangementId;
  name: string;
}

/** What `RestoreVersion` answers. */
export interface ArrangementRestoreVersionReply {
  changes: EntityDiff[];
  edit?: EditReceipt;
}

/** Lists arrangements in order. */
export interface ArrangementListCommand {}

/** What `List` answers. */
export interface ArrangementListReply {
  active?: ArrangementId | null;
  arrangements: Arrangement[];
}

/** Creates a track with its channel (a folder has none) and a first lane. */
export interface TrackCreateCommand {
  /** The active arrangement when absent. */
  arrangement?: ArrangementId | null;
  /** It comes before this sibling; last when absent. */
  before?: TrackId | null;
  /** `#rrggbb`. */
  colour?: string | null;
  kind?: TrackKind;
  /** `Track 3` and so on when absent. */
  name?: string | null;
  /** Processors to put in its channel, such as `pulse.eq`. */
  nodes?: string[];
  /** Where its channel feeds; the parent group or the master when absent. */
  output?: ChannelId | null;
  /** The folder or group to put it in. */
  parent?: TrackId | null;
}

/** What `Create` answers. */
export interface TrackCreateReply {
  channel?: ChannelId | null;
  edit?: EditReceipt;
  lane?: LaneId | null;
  nodes: NodeId[];
  track: TrackId;
}

/** Deletes tracks with lanes, clips, channels and sends. What pointed at them is reported, not deleted. */
export interface TrackDeleteCommand {
  /** Move what a folder holds one level up instead of deleting it. */
  keepChildren?: boolean;
  tracks: TrackId[];
}

/** What a deletion took with it and what it left without a target. */
export interface TrackDeleteReply {
  /** Everything that is gone, with what was owned. */
  deleted: EntityId[];
  edit?: EditReceipt;
  /** What named one of them and names nothing now. */
  orphaned: EntityId[];
}

/** Copies tracks with channel, nodes, automation and clips, next to the originals. Routes among the copied tracks lead to the copies. */
export interface TrackDuplicateCommand {
  tracks: TrackId[];
  /** Leave clips out. */
  withoutContent?: boolean;
}

/** What a copy or a split made. */
export interface TrackDuplicateReply {
  /** Every original and its copy. */
  copies: CopyOf[];
  edit?: EditReceipt;
}

/** Renames a track, and its channel if that had the same name. */
export interface TrackRenameCommand {
  name: string;
  track: TrackId;
}

/** Nothing to say but that it was done. */
export interface TrackRenameReply {
  edit?: EditReceipt;
}

/** Moves tracks among siblings or into a folder, in the order given. */
export interface TrackMoveCommand {
  /** They come before this sibling; last when absent. */
  before?: TrackId | null;
  /** The folder or group; null is the top level; absent leaves it. */
  parent?: TrackId | null;
  tracks: TrackId[];
}

/** Nothing to say but that it was done. */
export interface TrackMoveReply {
  edit?: EditReceipt;
}

/** Puts tracks together in a new folder or group. */
export interface TrackGroupCommand {
  name?: string | null;
  /** `group` sums them in its channel, `folder` only holds them. */
  sum?: boolean;
  tracks: TrackId[];
}

/** What `Group` answers. */
export interface TrackGroupReply {
  channel?: ChannelId | null;
  edit?: EditReceipt;
  track: TrackId;
}

/** Changes mute, solo, arm and monitoring. */
export interface TrackSetFlagsCommand {
  armed?: boolean | null;
  /** Set `solo` or `armed` on these tracks only, and clear it on all others. */
  exclusive?: boolean;
  monitor?: Monitor | null;
  mute?: boolean | null;
  solo?: boolean | null;
  /** Never silenced by the solo of others. */
  soloSafe?: boolean | null;
  tracks: TrackId[];
}

/** Nothing to say but that it was done. */
export interface TrackSetFlagsReply {
  edit?: EditReceipt;
}

/** Says who renders a track: the live engine or the one that works ahead. */
export interface TrackSetPolicyCommand {
  policy: ProcessingPolicy;
  track: TrackId;
}

/** Nothing to say but that it was done. */
export interface TrackSetPolicyReply {
  edit?: EditReceipt;
}

/** Gives a folder a channel, which sums what it holds, or takes it away. */
export interface TrackSetChannelCommand {
  enabled: boolean;
  track: TrackId;
}

/** What `SetChannel` answers. */
export interface TrackSetChannelReply {
  channel?: ChannelId | null;
  edit?: EditReceipt;
}

/** Lists the tracks of an arrangement in the order shown, parents first. */
export interface TrackListCommand {
  arrangement?: ArrangementId | null;
}

/** What `List` answers. */
export interface TrackListReply {
  tracks: Track[];
}

/** Creates a lane. */
export interface LaneCreateCommand {
  before?: LaneId | null;
  kind?: LaneKind;
  name?: string | null;
  /** Timebase of new clips and envelopes on it. */
  timebase?: Timebase | null;
  track: TrackId;
}

/** What `Create` answers. */
export interface LaneCreateReply {
  edit?: EditReceipt;
  lane: LaneId;
}

/** Deletes a lane with its clips, takes and envelopes. */
export interface LaneDeleteCommand {
  lane: LaneId;
}

/** What a deletion took with it and what it left without a target. */
export interface LaneDeleteReply {
  /** Everything that is gone, with what was owned. */
  deleted: EntityId[];
  edit?: EditReceipt;
  /** What named one of them and names nothing now. */
  orphaned: EntityId[];
}

/** Copies a lane with its clips. */
export interface LaneDuplicateCommand {
  lane: LaneId;
}

/** What a copy or a split made. */
export interface LaneDuplicateReply {
  /** Every original and its copy. */
  copies: CopyOf[];
  edit?: EditReceipt;
}

/** Changes a lane. */
export interface LaneUpdateCommand {
  lane: LaneId;
  mute?: boolean | null;
  name?: string | null;
  timebase?: Timebase | null;
}

/** Nothing to say but that it was done. */
export interface LaneUpdateReply {
  edit?: EditReceipt;
}

/** Moves a lane among those of its track, or to another track. */
export interface LaneMoveCommand {
  before?: LaneId | null;
  lane: LaneId;
  track?: TrackId | null;
}

/** Nothing to say but that it was done. */
export interface LaneMoveReply {
  edit?: EditReceipt;
}

/** Makes a take of a clip: one recording pass to choose from. */
export interface LaneAddTakeCommand {
  clip: ClipId;
  name?: string | null;
}

/** What `AddTake` answers. */
export interface LaneAddTakeReply {
  edit?: EditReceipt;
  take: TakeId;
}

/** Changes a take. */
export interface LaneUpdateTakeCommand {
  name?: string | null;
  /** 0 (unrated) to 5. */
  rating?: number | null;
  take: TakeId;
}

/** Nothing to say but that it was done. */
export interface LaneUpdateTakeReply {
  edit?: EditReceipt;
}

/** Deletes a take; its clip stays unless it is asked to go. */
export interface LaneDeleteTakeCommand {
  take: TakeId;
  withClip?: boolean;
}

/** What a deletion took with it and what it left without a target. */
export interface LaneDeleteTakeReply {
  /** Everything that is gone, with what was owned. */
  deleted: EntityId[];
  edit?: EditReceipt;
  /** What named one of them and names nothing now. */
  orphaned: EntityId[];
}

/** Creates a comp: a choice of stretches from the takes of a lane. */
export interface LaneCreateCompCommand {
  /** Play it instead of the takes. */
  active?: boolean;
  lane: LaneId;
  name?: string | null;
  segments?: CompSegment[];
}

/** What `CreateComp` answers. */
export interface LaneCreateCompReply {
  comp: CompId;
  edit?: EditReceipt;
}

/** Chooses which take sounds in a stretch of a comp. */
export interface LaneCompRangeCommand {
  comp: CompId;
  range: TimeRange;
  /** The take; null is silence. */
  take?: TakeId | null;
}

/** Nothing to say but that it was done. */
export interface LaneCompRangeReply {
  edit?: EditReceipt;
}

/** Changes a comp. */
export interface LaneUpdateCompCommand {
  active?: boolean | null;
  comp: CompId;
  name?: string | null;
  segments?: CompSegment[] | null;
}

/** Nothing to say but that it was done. */
export interface LaneUpdateCompReply {
  edit?: EditReceipt;
}

/** Deletes a comp; the takes stay. */
export interface LaneDeleteCompCommand {
  comp: CompId;
}

/** What a deletion took with it and what it left without a target. */
export interface LaneDeleteCompReply {
  /** Everything that is gone, with what was owned. */
  deleted: EntityId[];
  edit?: EditReceipt;
  /** What named one of them and names nothing now. */
  orphaned: EntityId[];
}

/** Turns a comp into plain clips. */
export interface LaneFlattenCompCommand {
  comp: CompId;
}

/** What `FlattenComp` answers. */
export interface LaneFlattenCompReply {
  clips: ClipId[];
  edit?: EditReceipt;
}

/** Creates a clip on a lane. */
export interface ClipCreateCommand {
  colour?: string | null;
  /** That of the lane when absent. */
  content?: ClipContent | null;
  lane: LaneId;
  length: Moment;
  /** Length of the loop inside the content. */
  loopLength?: Moment | null;
  name?: string | null;
  /** Notes to put in. */
  notes?: NewNote[];
  overlap?: Overlap;
  /** Audio to play. */
  region?: NewRegion | null;
  start: Moment;
  /** That of the lane when absent; `start` and `length` are in it. */
  timebase?: Timebase | null;
}

/** What `Create` answers. */
export interface ClipCreateReply {
  clip: ClipId;
  edit?: EditReceipt;
  notes: NoteId[];
  region?: AudioRegionId | null;
  /** Clips that were cut or removed to make room. */
  trimmed: ClipId[];
}

/** Deletes clips with their content. */
export interface ClipDeleteCommand {
  clips: ClipId[];
}

/** What a deletion took with it and what it left without a target. */
export interface ClipDeleteReply {
  /** Everything that is gone, with what was owned. */
  deleted: EntityId[];
  edit?: EditReceipt;
  /** What named one of them and names nothing now. */
  orphaned: EntityId[];
}

/** Moves clips in time or to other lanes. A clip that leaves a variant and is in the original too stays there as it is; what arrives on the other lane is another clip, which `copies` names. */
export interface ClipMoveCommand {
  moves: ClipMove[];
  overlap?: Overlap;
}

/** What `Move` answers. */
export interface ClipMoveReply {
  /** What has a new id because it left a variant. */
  copies: CopyOf[];
  edit?: EditReceipt;
  /** Clips that were cut or removed to make room. */
  trimmed: ClipId[];
}

/** Moves clips by the same amount of musical time. */
export interface ClipNudgeCommand {
  by: Ticks;
  clips: ClipId[];
  overlap?: Overlap;
}

/** What `Nudge` answers. */
export interface ClipNudgeReply {
  edit?: EditReceipt;
  trimmed: ClipId[];
}

/** Moves one end of a clip. The content stays where it is in time. */
export interface ClipResizeCommand {
  clip: ClipId;
  edge: Edge;
  overlap?: Overlap;
  /** Where the end goes, in the clip's timebase. */
  to: Moment;
}

/** What `Resize` answers. */
export interface ClipResizeReply {
  edit?: EditReceipt;
  length: Moment;
  start: Moment;
  trimmed: ClipId[];
}

/** Moves the content inside a clip, whose ends stay. */
export interface ClipSlipCommand {
  by: Moment;
  clip: ClipId;
}

/** Nothing to say but that it was done. */
export interface ClipSlipReply {
  edit?: EditReceipt;
}

/** Cuts clips in two at a place. */
export interface ClipSplitCommand {
  at: Ticks;
  clips: ClipId[];
}

/** What a copy or a split made. */
export interface ClipSplitReply {
  /** Every original and its copy. */
  copies: CopyOf[];
  edit?: EditReceipt;
}

/** Joins clips of one lane into one. Audio clips must continue each other; others become one audio clip through `rendering.bounce`. */
export interface ClipMergeCommand {
  clips: ClipId[];
  name?: string | null;
}

/** What `Merge` answers. */
export interface ClipMergeReply {
  clip: ClipId;
  edit?: EditReceipt;
}

/** Copies clips with their content. */
export interface ClipDuplicateCommand {
  clips: ClipId[];
  /** How often; 1 when absent. */
  count?: number | null;
  lane?: LaneId | null;
  /** Distance of the copies from the originals; right behind them when absent. */
  offset?: Ticks | null;
  overlap?: Overlap;
}

/** What a copy or a split made. */
export interface ClipDuplicateReply {
  /** Every original and its copy. */
  copies: CopyOf[];
  edit?: EditReceipt;
}

/** Changes a clip's fields; absent ones stay as they are. */
export interface ClipUpdateCommand {
  clips: ClipId[];
  fadeIn?: Fade | null;
  fadeOut?: Fade | null;
  /** −144 to 24. */
  gainDb?: number | null;
  mute?: boolean | null;
  name?: string | null;
  pan?: number | null;
  reverse?: boolean | null;
  stretch?: StretchMode | null;
  /** Semitones. */
  transpose?: number | null;
}

/** Nothing to say but that it was done. */
export interface ClipUpdateReply {
  edit?: EditReceipt;
}

/** Sets or ends the loop inside a clip. */
export interface ClipSetLoopCommand {
  clip: ClipId;
  /** Length of the loop, in the clip's timebase; null plays once. */
  length?: Moment | null;
  /** Where in the content it begins; unchanged when absent. */
  start?: Moment | null;
}

/** Nothing to say but that it was done. */
export interface ClipSetLoopReply {
  edit?: EditReceipt;
}

/** Lets a clip follow the tempo (`musical`) or stay where it is (`absolute`). */
export interface ClipSetTimebaseCommand {
  clips: ClipId[];
  timebase: Timebase;
}

/** Nothing to say but that it was done. */
export interface ClipSetTimebaseReply {
  edit?: EditReceipt;
}

/** Changes a clip's length by stretching its content to fit. */
export interface ClipStretchCommand {
  clip: ClipId;
  /** New length, in the clip's timebase. */
  length: Moment;
}

/** Nothing to say but that it was done. */
export interface ClipStretchReply {
  edit?: EditReceipt;
}

/** Moves clips onto a raster. */
export interface ClipQuantiseCommand {
  clips: ClipId[];
  quantise: QuantiseTo;
}

/** Nothing to say but that it was done. */
export interface ClipQuantiseReply {
  edit?: EditReceipt;
}

/** Lets two neighbouring clips cross-fade. */
export interface ClipCrossfadeCommand {
  left: ClipId;
  /** In the timebase of the left clip. */
  length: Moment;
  right: ClipId;
  shape?: FadeShape | null;
}

/** Nothing to say but that it was done. */
export interface ClipCrossfadeReply {
  edit?: EditReceipt;
}

/** Adds audio to a clip. */
export interface ClipAddRegionCommand {
  clip: ClipId;
  region: NewRegion;
}

/** What `AddRegion` answers. */
export interface ClipAddRegionReply {
  edit?: EditReceipt;
  region: AudioRegionId;
}

/** Changes which stretch of media a region plays, and how it is warped. */
export interface ClipUpdateRegionCommand {
  media?: MediaId | null;
  region: AudioRegionId;
  sourceBpm?: number | null;
  sourceLength?: number | null;
  sourceStart?: number | null;
  /** Replaces all anchors; both sides ascend. */
  warp?: WarpAnchor[] | null;
}

/** Nothing to say but that it was done. */
export interface ClipUpdateRegionReply {
  edit?: EditReceipt;
}

/** Takes audio out of a clip; the media item stays. */
export interface ClipDeleteRegionCommand {
  region: AudioRegionId;
}

/** What a deletion took with it and what it left without a target. */
export interface ClipDeleteRegionReply {
  /** Everything that is gone, with what was owned. */
  deleted: EntityId[];
  edit?: EditReceipt;
  /** What named one of them and names nothing now. */
  orphaned: EntityId[];
}

/** Lists the clips of a lane or track, by start. */
export interface ClipListCommand {
  lane?: LaneId | null;
  page?: Page;
  range?: TimeRange | null;
  track?: TrackId | null;
}

/** What `List` answers. */
export interface ClipListReply {
  clips: Clip[];
  more: boolean;
}

/** Adds notes to a clip. */
export interface NoteAddCommand {
  clip: ClipId;
  notes: NewNote[];
}

/** What `Add` answers. */
export interface NoteAddReply {
  edit?: EditReceipt;
  /** In the order of the payload. */
  notes: NoteId[];
}

/** Changes notes one by one. */
export interface NoteUpdateCommand {
  changes: NoteChange[];
  clip: ClipId;
}

/** Nothing to say but that it was done. */
export interface NoteUpdateReply {
  edit?: EditReceipt;
}

/** Deletes notes. */
export interface NoteDeleteCommand {
  clip: ClipId;
  notes: NoteId[];
}

/** Nothing to say but that it was done. */
export interface NoteDeleteReply {
  edit?: EditReceipt;
}

/** Moves notes in time and pitch by the same amount. Notes that would leave the keyboard stop the whole move. */
export interface NoteMoveCommand {
  /** In time. */
  by?: Ticks | null;
  clip: ClipId;
  /** All of the clip's when empty. */
  notes?: NoteId[];
  /** In semitones. */
  transpose?: number | null;
}

/** Nothing to say but that it was done. */
export interface NoteMoveReply {
  edit?: EditReceipt;
}

/** Copies notes within a clip or into another. */
export interface NoteDuplicateCommand {
  by: Ticks;
  clip: ClipId;
  notes: NoteId[];
  to?: ClipId | null;
}

/** What `Duplicate` answers. */
export interface NoteDuplicateReply {
  edit?: EditReceipt;
  notes: NoteId[];
}

/** Moves notes onto a raster. */
export interface NoteQuantiseCommand {
  clip: ClipId;
  /** All of the clip's when empty. */
  notes?: NoteId[];
  quantise: QuantiseTo;
}

/** What `Quantise` answers. */
export interface NoteQuantiseReply {
  /** How many notes moved. */
  changed: number;
  edit?: EditReceipt;
}

/** Moves notes a little at random. The same seed gives the same notes. */
export interface NoteHumaniseCommand {
  clip: ClipId;
  notes?: NoteId[];
  seed: number;
  /** Most that a start moves. */
  timing?: Ticks | null;
  /** Most that a velocity moves. */
  velocity?: number | null;
}

/** What `Humanise` answers. */
export interface NoteHumaniseReply {
  changed: number;
  edit?: EditReceipt;
}

/** Multiplies lengths, velocities or both. */
export interface NoteScaleCommand {
  clip: ClipId;
  /** Factor of lengths. */
  length?: number | null;
  notes?: NoteId[];
  /** Factor of starts and lengths, from the clip's start. */
  time?: number | null;
  /** Factor of velocities. */
  velocity?: number | null;
}

/** Nothing to say but that it was done. */
export interface NoteScaleReply {
  edit?: EditReceipt;
}

/** Lets each note last until the next one of its voice starts. */
export interface NoteLegatoCommand {
  clip: ClipId;
  notes?: NoteId[];
  /** Overlap with the next note, or a gap where it is negative. */
  overlap?: Ticks | null;
}

/** Nothing to say but that it was done. */
export interface NoteLegatoReply {
  edit?: EditReceipt;
}

/** Cuts notes in two. */
export interface NoteSplitCommand {
  at: Ticks;
  clip: ClipId;
  notes: NoteId[];
}

/** What `Split` answers. */
export interface NoteSplitReply {
  edit?: EditReceipt;
  /** The right-hand parts. */
  notes: NoteId[];
}

/** Adds controllers, pitch bends, programs and the like. */
export interface NoteAddEventsCommand {
  clip: ClipId;
  events: NewEvent[];
}

/** What `AddEvents` answers. */
export interface NoteAddEventsReply {
  edit?: EditReceipt;
  events: MidiEventId[];
}

/** Moves or changes one event. */
export interface NoteUpdateEventCommand {
  at?: Ticks | null;
  channel?: number | null;
  clip: ClipId;
  event: MidiEventId;
  message?: MidiMessage | null;
}

/** Nothing to say but that it was done. */
export interface NoteUpdateEventReply {
  edit?: EditReceipt;
}

/** Deletes events. */
export interface NoteDeleteEventsCommand {
  clip: ClipId;
  events: MidiEventId[];
}

/** Nothing to say but that it was done. */
export interface NoteDeleteEventsReply {
  edit?: EditReceipt;
}

/** Lists the notes and events of a clip. */
export interface NoteListCommand {
  clip: ClipId;
  from?: Ticks | null;
  page?: Page;
  to?: Ticks | null;
}

/** What `List` answers. */
export interface NoteListReply {
  events: MidiEvent[];
  more: boolean;
  notes: Note[];
}

/** Measures the feel of a clip's notes and keeps it as a groove. */
export interface NoteExtractGrooveCommand {
  clip: ClipId;
  name: string;
  /** Length of one step. */
  step: Ticks;
  /** Steps in a cycle. */
  steps: number;
}

/** What `ExtractGroove` answers. */
export interface NoteExtractGrooveReply {
  edit?: EditReceipt;
  groove: GrooveId;
}

/** Creates a bus or a return. Track channels come with their tracks. */
export interface ChannelCreateCommand {
  arrangement?: ArrangementId | null;
  before?: ChannelId | null;
  /** 1 or 2; 2 when absent. */
  channels?: number | null;
  colour?: string | null;
  /** `bus` or `return`. */
  kind: ChannelKind;
  name?: string | null;
  /** Processors to put in, such as `pulse.reverb`. */
  nodes?: string[];
  /** Where it feeds; the master when absent. */
  output?: ChannelId | null;
}

/** What `Create` answers. */
export interface ChannelCreateReply {
  channel: ChannelId;
  edit?: EditReceipt;
  nodes: NodeId[];
}

/** Deletes a bus or a return. What fed it feeds the master, or nothing. */
export interface ChannelDeleteCommand {
  channel: ChannelId;
  /** Where its feeders go; nowhere when absent. */
  reroute?: ChannelId | null;
}

/** What a deletion took with it and what it left without a target. */
export interface ChannelDeleteReply {
  /** Everything that is gone, with what was owned. */
  deleted: EntityId[];
  edit?: EditReceipt;
  /** What named one of them and names nothing now. */
  orphaned: EntityId[];
}

/** Copies a bus or a return with its nodes. */
export interface ChannelDuplicateCommand {
  channel: ChannelId;
}

/** What a copy or a split made. */
export interface ChannelDuplicateReply {
  /** Every original and its copy. */
  copies: CopyOf[];
  edit?: EditReceipt;
}

/** Renames a channel. */
export interface ChannelRenameCommand {
  channel: ChannelId;
  name: string;
}

/** Nothing to say but that it was done. */
export interface ChannelRenameReply {
  edit?: EditReceipt;
}

/** Moves a channel among the others. */
export interface ChannelMoveCommand {
  before?: ChannelId | null;
  channel: ChannelId;
}

/** Nothing to say but that it was done. */
export interface ChannelMoveReply {
  edit?: EditReceipt;
}

/** Sets the fader, in dB. */
export interface ChannelSetGainCommand {
  channel: ChannelId;
  /** −144 (silence) to +24. */
  gainDb: number;
}

/** Nothing to say but that it was done. */
export interface ChannelSetGainReply {
  edit?: EditReceipt;
}

/** Sets place and width in the stereo image. */
export interface ChannelSetPanCommand {
  channel: ChannelId;
  law?: PanLaw | null;
  /** −1 (left) to 1 (right). */
  pan?: number | null;
  /** 0 (mono) to 2. */
  width?: number | null;
}

/** Nothing to say but that it was done. */
export interface ChannelSetPanReply {
  edit?: EditReceipt;
}

/** Mutes channels. */
export interface ChannelSetMuteCommand {
  channels: ChannelId[];
  mute: boolean;
}

/** Nothing to say but that it was done. */
export interface ChannelSetMuteReply {
  edit?: EditReceipt;
}

/** Turns the polarity of one side or both. */
export interface ChannelSetPolarityCommand {
  channel: ChannelId;
  invertLeft?: boolean | null;
  invertRight?: boolean | null;
}

/** Nothing to say but that it was done. */
export interface ChannelSetPolarityReply {
  edit?: EditReceipt;
}

/** Chooses what a channel hears. */
export interface ChannelSetInputCommand {
  channel: ChannelId;
  input: ChannelInput;
}

/** Nothing to say but that it was done. */
export interface ChannelSetInputReply {
  edit?: EditReceipt;
}

/** Chooses where a channel goes. */
export interface ChannelSetOutputCommand {
  channel: ChannelId;
  /** Delay in frames that makes a loop legal; 64 to 192,000. */
  feedback?: number | null;
  /** Null is nowhere. */
  output?: ChannelId | null;
}

/** Nothing to say but that it was done. */
export interface ChannelSetOutputReply {
  edit?: EditReceipt;
}

/** Sets the number of audio channels. */
export interface ChannelSetLayoutCommand {
  channel: ChannelId;
  /** 1 or 2. */
  channels: number;
}

/** Nothing to say but that it was done. */
export interface ChannelSetLayoutReply {
  edit?: EditReceipt;
}

/** Removes all wires, so that the channel runs its nodes in their order. */
export interface ChannelResetGraphCommand {
  channel: ChannelId;
}

/** What a deletion took with it and what it left without a target. */
export interface ChannelResetGraphReply {
  /** Everything that is gone, with what was owned. */
  deleted: EntityId[];
  edit?: EditReceipt;
  /** What named one of them and names nothing now. */
  orphaned: EntityId[];
}

/** Lists the channels of an arrangement in mixer order. */
export interface ChannelListCommand {
  arrangement?: ArrangementId | null;
}

/** What `List` answers. */
export interface ChannelListReply {
  channels: Channel[];
}

/** Adds a processor to a channel. */
export interface NodeAddCommand {
  /** It comes before this node; last when absent. */
  before?: NodeId | null;
  bypass?: boolean;
  channel: ChannelId;
  /** `pulse.eq`; `node.kinds` lists them. */
  kind: string;
  /** The kit of a sampler. */
  kit?: KitId | null;
  name?: string | null;
  /** Values that differ from the defaults, in the parameter's own unit. */
  params?: Record<string, number>;
}

/** What `Add` answers. */
export interface NodeAddReply {
  edit?: EditReceipt;
  node: NodeId;
}

/** Removes nodes with their wires, side chains and envelopes. */
export interface NodeRemoveCommand {
  nodes: NodeId[];
}

/** What a deletion took with it and what it left without a target. */
export interface NodeRemoveReply {
  /** Everything that is gone, with what was owned. */
  deleted: EntityId[];
  edit?: EditReceipt;
  /** What named one of them and names nothing now. */
  orphaned: EntityId[];
}

/** Moves a node within its channel or to another one. */
export interface NodeMoveCommand {
  before?: NodeId | null;
  channel?: ChannelId | null;
  node: NodeId;
}

/** Nothing to say but that it was done. */
export interface NodeMoveReply {
  edit?: EditReceipt;
}

/** Copies nodes with their settings. */
export interface NodeDuplicateCommand {
  /** Where to; their own channel when absent. */
  channel?: ChannelId | null;
  nodes: NodeId[];
}

/** What a copy or a split made. */
export interface NodeDuplicateReply {
  /** Every original and its copy. */
  copies: CopyOf[];
  edit?: EditReceipt;
}

/** Renames a node. */
export interface NodeRenameCommand {
  name: string;
  node: NodeId;
}

/** Nothing to say but that it was done. */
export interface NodeRenameReply {
  edit?: EditReceipt;
}

/** Lets the signal pass nodes by, or through them again. */
export interface NodeSetBypassCommand {
  bypass: boolean;
  nodes: NodeId[];
}

/** Nothing to say but that it was done. */
export interface NodeSetBypassReply {
  edit?: EditReceipt;
}

/** Puts another kind in a node's place. Parameters of the same name stay. */
export interface NodeReplaceCommand {
  kind: string;
  node: NodeId;
}

/** What `Replace` answers. */
export interface NodeReplaceReply {
  /** Parameters that the new kind doesn't have. */
  dropped: string[];
  edit?: EditReceipt;
}

/** Chooses the kit that a sampler plays. */
export interface NodeSetKitCommand {
  kit?: KitId | null;
  node: NodeId;
}

/** Nothing to say but that it was done. */
export interface NodeSetKitReply {
  edit?: EditReceipt;
}

/** Takes a node's settings back to the defaults. */
export interface NodeResetCommand {
  node: NodeId;
}

/** Nothing to say but that it was done. */
export interface NodeResetReply {
  edit?: EditReceipt;
}

/** Makes a stack: alternatives for one place in a chain, of which one sounds. */
export interface NodeCreateStackCommand {
  alternatives: StackAlternative[];
  before?: NodeId | null;
  channel: ChannelId;
  name?: string | null;
}

/** What `CreateStack` answers. */
export interface NodeCreateStackReply {
  edit?: EditReceipt;
  stack: NodeStackId;
}

/** Deletes a stack. The nodes of the alternative that sounds stay in the chain. */
export interface NodeDeleteStackCommand {
  stack: NodeStackId;
}

/** What a deletion took with it and what it left without a target. */
export interface NodeDeleteStackReply {
  /** Everything that is gone, with what was owned. */
  deleted: EntityId[];
  edit?: EditReceipt;
  /** What named one of them and names nothing now. */
  orphaned: EntityId[];
}

/** Renames a stack or replaces its alternatives. */
export interface NodeUpdateStackCommand {
  alternatives?: StackAlternative[] | null;
  name?: string | null;
  stack: NodeStackId;
}

/** Nothing to say but that it was done. */
export interface NodeUpdateStackReply {
  edit?: EditReceipt;
}

/** Chooses the alternative of a stack that sounds. */
export interface NodeSetActiveCommand {
  /** From 0. */
  active: number;
  stack: NodeStackId;
}

/** Nothing to say but that it was done. */
export interface NodeSetActiveReply {
  edit?: EditReceipt;
}

/** Draws a wire inside a channel. With wires, the order of nodes no longer says how the signal runs. */
export interface NodeConnectCommand {
  channel: ChannelId;
  /** Delay in frames that makes a loop legal. */
  feedback?: number | null;
  from: PortRef;
  to: PortRef;
}

/** What `Connect` answers. */
export interface NodeConnectReply {
  connection: ConnectionId;
  edit?: EditReceipt;
}

/** Removes a wire. */
export interface NodeDisconnectCommand {
  connection: ConnectionId;
}

/** Nothing to say but that it was done. */
export interface NodeDisconnectReply {
  edit?: EditReceipt;
}

/** Lists the kinds of processor that this Pulse can host. */
export interface NodeKindsCommand {
  category?: string | null;
}

/** What `Kinds` answers. */
export interface NodeKindsReply {
  kinds: NodeKindInfo[];
}

/** Describes one node: its kind, its values, its latency. */
export interface NodeDescribeCommand {
  node: NodeId;
}

/** What `Describe` answers. */
export interface NodeDescribeReply {
  /** None if the kind isn't known here. */
  kind?: NodeKindInfo | null;
  /** Frames, as the engine runs it now. */
  latency?: number | null;
  node: DspNode;
}

/** Lists the nodes of a channel, with stacks and wires. */
export interface NodeListCommand {
  channel: ChannelId;
}

/** What `List` answers. */
export interface NodeListReply {
  connections: Connection[];
  nodes: DspNode[];
  stacks: NodeStack[];
}

/** Sets a value as one edit. */
export interface ParameterSetValueCommand {
  parameter: string;
  target: EntityId;
  value: number;
}

/** What `SetValue` answers. */
export interface ParameterSetValueReply {
  /** The value before; none was the default. */
  before?: number | null;
  edit?: EditReceipt;
}

/** Sets several values as one edit. */
export interface ParameterSetValuesCommand {
  values: ParameterValue[];
}

/** Nothing to say but that it was done. */
export interface ParameterSetValuesReply {
  edit?: EditReceipt;
}

/** Takes values back to the defaults; all of the target's when none is named. */
export interface ParameterResetCommand {
  parameters?: string[];
  target: EntityId;
}

/** Nothing to say but that it was done. */
export interface ParameterResetReply {
  edit?: EditReceipt;
}

/** Begins to move a parameter. One client holds a parameter at a time. */
export interface ParameterBeginGestureCommand {
  parameter: string;
  target: EntityId;
}

/** What `BeginGesture` answers. */
export interface ParameterBeginGestureReply {
  /** Names the gesture, also as the stream id of binary frames whose last sample is the value. */
  gesture: number;
  value: number;
}

/** Moves the parameter of a gesture. Straight to the engine; not an edit yet. `parameter.gesture` tells it; there is no event of this name. */
export interface ParameterUpdateGestureCommand {
  gesture: number;
  value: number;
}

/** Nothing to say but that it was done. */
export interface ParameterUpdateGestureReply {}

/** Ends a gesture: the last value becomes one edit, or none with `cancel`. */
export interface ParameterEndGestureCommand {
  /** Go back to the value before. */
  cancel?: boolean;
  gesture: number;
}

/** What `EndGesture` answers. */
export interface ParameterEndGestureReply {
  before: number;
  edit?: EditReceipt;
  value: number;
}

/** Tells values, defaults and ranges of a target's parameters. */
export interface ParameterGetCommand {
  parameters?: string[];
  target: EntityId;
}

/** What `Get` answers. */
export interface ParameterGetReply {
  values: ParameterState[];
}

/** Makes a group: parameters that move together. */
export interface ParameterCreateGroupCommand {
  members: ParameterRef[];
  name: string;
}

/** What `CreateGroup` answers. */
export interface ParameterCreateGroupReply {
  edit?: EditReceipt;
  group: ParameterGroupId;
}

/** Changes a group. */
export interface ParameterUpdateGroupCommand {
  enabled?: boolean | null;
  group: ParameterGroupId;
  members?: ParameterRef[] | null;
  name?: string | null;
}

/** Nothing to say but that it was done. */
export interface ParameterUpdateGroupReply {
  edit?: EditReceipt;
}

/** Moves all members of a group by the same part of their ranges. */
export interface ParameterMoveGroupCommand {
  /** Part of each member's range, −1 to 1. */
  by: number;
  group: ParameterGroupId;
}

/** What `MoveGroup` answers. */
export interface ParameterMoveGroupReply {
  edit?: EditReceipt;
  values: ParameterValue[];
}

/** Deletes a group; the parameters keep their values. */
export interface ParameterDeleteGroupCommand {
  group: ParameterGroupId;
}

/** What a deletion took with it and what it left without a target. */
export interface ParameterDeleteGroupReply {
  /** Everything that is gone, with what was owned. */
  deleted: EntityId[];
  edit?: EditReceipt;
  /** What named one of them and names nothing now. */
  orphaned: EntityId[];
}

/** Lets one parameter follow another. */
export interface ParameterCreateLinkCommand {
  offset?: number | null;
  /** Follower = leader × scale + offset, as parts of the ranges; 1 when absent. */
  scale?: number | null;
  source: ParameterRef;
  target: ParameterRef;
}

/** What `CreateLink` answers. */
export interface ParameterCreateLinkReply {
  edit?: EditReceipt;
  link: ParameterLinkId;
}

/** Changes a link. */
export interface ParameterUpdateLinkCommand {
  enabled?: boolean | null;
  link: ParameterLinkId;
  offset?: number | null;
  scale?: number | null;
}

/** Nothing to say but that it was done. */
export interface ParameterUpdateLinkReply {
  edit?: EditReceipt;
}

/** Deletes a link. */
export interface ParameterDeleteLinkCommand {
  link: ParameterLinkId;
}

/** What a deletion took with it and what it left without a target. */
export interface ParameterDeleteLinkReply {
  /** Everything that is gone, with what was owned. */
  deleted: EntityId[];
  edit?: EditReceipt;
  /** What named one of them and names nothing now. */
  orphaned: EntityId[];
}

/** Adds a modulator's output to a parameter. */
export interface ParameterAddModulationCommand {
  bipolar?: boolean;
  /** Part of the parameter's range, −1 to 1. */
  depth: number;
  from: NodeId;
  /** Control output of the modulator. */
  port?: number;
  to: ParameterRef;
}

/** What `AddModulation` answers. */
export interface ParameterAddModulationReply {
  edit?: EditReceipt;
  route: ModulationRouteId;
}

/** Changes a modulation. */
export interface ParameterUpdateModulationCommand {
  bipolar?: boolean | null;
  depth?: number | null;
  enabled?: boolean | null;
  route: ModulationRouteId;
}

/** Nothing to say but that it was done. */
export interface ParameterUpdateModulationReply {
  edit?: EditReceipt;
}

/** Removes a modulation. */
export interface ParameterRemoveModulationCommand {
  route: ModulationRouteId;
}

/** What a deletion took with it and what it left without a target. */
export interface ParameterRemoveModulationReply {
  /** Everything that is gone, with what was owned. */
  deleted: EntityId[];
  edit?: EditReceipt;
  /** What named one of them and names nothing now. */
  orphaned: EntityId[];
}

/** Makes an envelope for a parameter, on a lane or inside a clip. */
export interface AutomationCreateEnvelopeCommand {
  /** A lane or a clip. */
  owner: EnvelopeOwner;
  points?: NewPoint[];
  target: ParameterRef;
  timebase?: Timebase | null;
}

/** What `CreateEnvelope` answers. */
export interface AutomationCreateEnvelopeReply {
  edit?: EditReceipt;
  envelope: AutomationEnvelopeId;
  points: AutomationPointId[];
}

/** Deletes an envelope with its points. */
export interface AutomationDeleteEnvelopeCommand {
  envelope: AutomationEnvelopeId;
}

/** What a deletion took with it and what it left without a target. */
export interface AutomationDeleteEnvelopeReply {
  /** Everything that is gone, with what was owned. */
  deleted: EntityId[];
  edit?: EditReceipt;
  /** What named one of them and names nothing now. */
  orphaned: EntityId[];
}

/** Switches an envelope on or off, or points it at another parameter. */
export interface AutomationUpdateEnvelopeCommand {
  enabled?: boolean | null;
  envelope: AutomationEnvelopeId;
  target?: ParameterRef | null;
}

/** Nothing to say but that it was done. */
export interface AutomationUpdateEnvelopeReply {
  edit?: EditReceipt;
}

/** Copies an envelope to another lane, clip or parameter. */
export interface AutomationDuplicateEnvelopeCommand {
  envelope: AutomationEnvelopeId;
  owner?: EnvelopeOwner | null;
  target?: ParameterRef | null;
}

/** What a copy or a split made. */
export interface AutomationDuplicateEnvelopeReply {
  /** Every original and its copy. */
  copies: CopyOf[];
  edit?: EditReceipt;
}

/** Adds points. */
export interface AutomationAddPointsCommand {
  envelope: AutomationEnvelopeId;
  points: NewPoint[];
}

/** What `AddPoints` answers. */
export interface AutomationAddPointsReply {
  edit?: EditReceipt;
  points: AutomationPointId[];
}

/** Moves or reshapes points. */
export interface AutomationUpdatePointsCommand {
  changes: PointChange[];
  envelope: AutomationEnvelopeId;
}

/** Nothing to say but that it was done. */
export interface AutomationUpdatePointsReply {
  edit?: EditReceipt;
}

/** Deletes points. */
export interface AutomationDeletePointsCommand {
  envelope: AutomationEnvelopeId;
  points: AutomationPointId[];
}

/** Nothing to say but that it was done. */
export interface AutomationDeletePointsReply {
  edit?: EditReceipt;
}

/** Deletes the points of a stretch, keeping the values at its ends. */
export interface AutomationClearRangeCommand {
  envelope: AutomationEnvelopeId;
  range: MomentRange;
}

/** What `ClearRange` answers. */
export interface AutomationClearRangeReply {
  edit?: EditReceipt;
  removed: number;
}

/** Moves the points of a stretch in time, value or both. */
export interface AutomationMoveRangeCommand {
  by?: Moment | null;
  envelope: AutomationEnvelopeId;
  range: MomentRange;
  value?: number | null;
}

/** What `MoveRange` answers. */
export interface AutomationMoveRangeReply {
  edit?: EditReceipt;
  moved: number;
}

/** Multiplies the values of a stretch around a centre. */
export interface AutomationScaleRangeCommand {
  /** The value that stays; the default of the parameter when absent. */
  around?: number | null;
  envelope: AutomationEnvelopeId;
  factor: number;
  range: MomentRange;
}

/** What `ScaleRange` answers. */
export interface AutomationScaleRangeReply {
  changed: number;
  edit?: EditReceipt;
}

/** Gives all segments of a stretch one shape. */
export interface AutomationShapeRangeCommand {
  envelope: AutomationEnvelopeId;
  range: MomentRange;
  shape: PointShape;
}

/** What `ShapeRange` answers. */
export interface AutomationShapeRangeReply {
  changed: number;
  edit?: EditReceipt;
}

/** Replaces a stretch by other points. */
export interface AutomationReplaceRangeCommand {
  envelope: AutomationEnvelopeId;
  points: NewPoint[];
  range: MomentRange;
}

/** What `ReplaceRange` answers. */
export interface AutomationReplaceRangeReply {
  edit?: EditReceipt;
  points: AutomationPointId[];
  removed: number;
}

/** Removes points that the curve doesn't need, within a tolerance. */
export interface AutomationThinCommand {
  envelope: AutomationEnvelopeId;
  range?: MomentRange | null;
  /** In the parameter's own unit. */
  tolerance: number;
}

/** What `Thin` answers. */
export interface AutomationThinReply {
  edit?: EditReceipt;
  removed: number;
}

/** Lists the envelopes of a lane, a clip or a target, with their points. */
export interface AutomationListCommand {
  owner?: EnvelopeOwner | null;
  range?: MomentRange | null;
  target?: EntityId | null;
}

/** What `List` answers. */
export interface AutomationListReply {
  envelopes: AutomationEnvelope[];
  points: AutomationPoint[];
}

/** Sends a copy of a channel's signal to another channel. */
export interface RoutingAddSendCommand {
  before?: SendId | null;
  feedback?: number | null;
  from: ChannelId;
  /** dB; 0 when absent. */
  gainDb?: number | null;
  mode?: SendMode;
  pan?: number | null;
  tap?: SignalTap;
  to: ChannelId;
}

/** What `AddSend` answers. */
export interface RoutingAddSendReply {
  edit?: EditReceipt;
  send: SendId;
}

/** Changes a send. */
export interface RoutingUpdateSendCommand {
  feedback?: number | null;
  gainDb?: number | null;
  mute?: boolean | null;
  pan?: number | null;
  send: SendId;
  tap?: SignalTap | null;
  to?: ChannelId | null;
}

/** Nothing to say but that it was done. */
export interface RoutingUpdateSendReply {
  edit?: EditReceipt;
}

/** Removes a send. */
export interface RoutingRemoveSendCommand {
  send: SendId;
}

/** What a deletion took with it and what it left without a target. */
export interface RoutingRemoveSendReply {
  /** Everything that is gone, with what was owned. */
  deleted: EntityId[];
  edit?: EditReceipt;
  /** What named one of them and names nothing now. */
  orphaned: EntityId[];
}

/** Moves a send among those of its channel. */
export interface RoutingMoveSendCommand {
  before?: SendId | null;
  send: SendId;
}

/** Nothing to say but that it was done. */
export interface RoutingMoveSendReply {
  edit?: EditReceipt;
}

/** Lets a node listen to a channel beside its own input. */
export interface RoutingAddSidechainCommand {
  feedback?: number | null;
  from: ChannelId;
  /** Input port of the node; 1, its first side input, when absent. */
  port?: number | null;
  tap?: SignalTap;
  to: NodeId;
}

/** What `AddSidechain` answers. */
export interface RoutingAddSidechainReply {
  edit?: EditReceipt;
  route: SidechainRouteId;
}

/** Changes a side chain. */
export interface RoutingUpdateSidechainCommand {
  feedback?: number | null;
  from?: ChannelId | null;
  port?: number | null;
  route: SidechainRouteId;
  tap?: SignalTap | null;
}

/** Nothing to say but that it was done. */
export interface RoutingUpdateSidechainReply {
  edit?: EditReceipt;
}

/** Removes a side chain. */
export interface RoutingRemoveSidechainCommand {
  route: SidechainRouteId;
}

/** What a deletion took with it and what it left without a target. */
export interface RoutingRemoveSidechainReply {
  /** Everything that is gone, with what was owned. */
  deleted: EntityId[];
  edit?: EditReceipt;
  /** What named one of them and names nothing now. */
  orphaned: EntityId[];
}

/** Makes another bus the master of its arrangement; the old one becomes a bus. */
export interface RoutingSetMasterCommand {
  channel: ChannelId;
}

/** Nothing to say but that it was done. */
export interface RoutingSetMasterReply {
  edit?: EditReceipt;
}

/** Makes a hardware role: a job for a device ("vocal mic"), by name. */
export interface RoutingCreateRoleCommand {
  /** Audio channels; 0 for MIDI. */
  channels?: number;
  direction: HardwareDirection;
  name: string;
}

/** What `CreateRole` answers. */
export interface RoutingCreateRoleReply {
  edit?: EditReceipt;
  role: HardwareRoleId;
}

/** Renames a role, or says which device filled it last. */
export interface RoutingUpdateRoleCommand {
  device?: string | null;
  firstChannel?: number | null;
  name?: string | null;
  role: HardwareRoleId;
}

/** Nothing to say but that it was done. */
export interface RoutingUpdateRoleReply {
  edit?: EditReceipt;
}

/** Deletes a role. */
export interface RoutingDeleteRoleCommand {
  role: HardwareRoleId;
}

/** What a deletion took with it and what it left without a target. */
export interface RoutingDeleteRoleReply {
  /** Everything that is gone, with what was owned. */
  deleted: EntityId[];
  edit?: EditReceipt;
  /** What named one of them and names nothing now. */
  orphaned: EntityId[];
}

/** Gives the graph of channels. */
export interface RoutingGraphCommand {
  arrangement?: ArrangementId | null;
}

/** What `Graph` answers. */
export interface RoutingGraphReply {
  channels: ChannelId[];
  edges: RouteEdge[];
  /** The order in which channels are computed. */
  order: ChannelId[];
}

/** Tells whether a route would be legal, and else which loop it closes. */
export interface RoutingCheckCommand {
  from: ChannelId;
  to: ChannelId;
}

/** What `Check` answers. */
export interface RoutingCheckReply {
  /** The channels of the loop, in order. */
  cycle: ChannelId[];
  legal: boolean;
}

/** Lists sends, side chains and roles. */
export interface RoutingListCommand {
  /** Only what starts or ends at this channel. */
  channel?: ChannelId | null;
}

/** What `List` answers. */
export interface RoutingListReply {
  roles: HardwareRole[];
  sends: Send[];
  sidechains: SidechainRoute[];
}

/** Plays from where the transport stands, or from a place. */
export interface TransportPlayCommand {
  from?: Place | null;
  /** Rolls in as a recording does: after the count-in, from the pre-roll on, recording between the punch points. */
  record?: boolean;
}

/** What `Play` answers. */
export interface TransportPlayReply {
  state: TransportState;
}

/** Stops and stays where it is. A second stop goes back to where play began. */
export interface TransportStopCommand {}

/** What `Stop` answers. */
export interface TransportStopReply {
  state: TransportState;
}

/** Halts, keeping tails and voices for the next play. */
export interface TransportPauseCommand {}

/** What `Pause` answers. */
export interface TransportPauseReply {
  state: TransportState;
}

/** Goes to a place, playing or not. */
export interface TransportSeekCommand {
  to: Place;
}

/** What `Seek` answers. */
export interface TransportSeekReply {
  state: TransportState;
}

/** Sets the loop, on or off, and its range. */
export interface TransportSetLoopCommand {
  enabled?: boolean | null;
  range?: TimeRange | null;
}

/** What `SetLoop` answers. */
export interface TransportSetLoopReply {
  state: TransportState;
}

/** Sets where recording starts and ends by itself. */
export interface TransportSetPunchCommand {
  enabled?: boolean | null;
  range?: TimeRange | null;
}

/** What `SetPunch` answers. */
export interface TransportSetPunchReply {
  state: TransportState;
}

/** Sets how a recording is led in. */
export interface TransportSetCountInCommand {
  /** Bars, 0 to 8. */
  bars?: number | null;
  preRoll?: Ticks | null;
}

/** What `SetCountIn` answers. */
export interface TransportSetCountInReply {
  state: TransportState;
}

/** Sets the metronome. */
export interface TransportSetMetronomeCommand {
  enabled?: boolean | null;
  /** dB. */
  gainDb?: number | null;
}

/** What `SetMetronome` answers. */
export interface TransportSetMetronomeReply {
  state: TransportState;
}

/** Silences everything at once: notes off, tails cut. */
export interface TransportPanicCommand {}

/** Nothing to say but that it was done. */
export interface TransportPanicReply {}

/** Tells where the transport stands. */
export interface TransportStateCommand {}

/** What `State` answers. */
export interface TransportStateReply {
  state: TransportState;
}

/** Adds a tempo point, or changes the one that is at this place. */
export interface TimebaseAddTempoCommand {
  arrangement?: ArrangementId | null;
  at: Ticks;
  /** Quarter notes per minute, 1 to 1,000. */
  bpm: number;
  shape?: TempoShape | null;
}

/** What `AddTempo` answers. */
export interface TimebaseAddTempoReply {
  edit?: EditReceipt;
  point: TempoPointId;
}

/** Changes a tempo point. */
export interface TimebaseUpdateTempoCommand {
  at?: Ticks | null;
  bpm?: number | null;
  point: TempoPointId;
  shape?: TempoShape | null;
}

/** Nothing to say but that it was done. */
export interface TimebaseUpdateTempoReply {
  edit?: EditReceipt;
}

/** Removes a tempo point. */
export interface TimebaseRemoveTempoCommand {
  point: TempoPointId;
}

/** Nothing to say but that it was done. */
export interface TimebaseRemoveTempoReply {
  edit?: EditReceipt;
}

/** Adds a time signature, or changes the one that is at this place. */
export interface TimebaseAddSignatureCommand {
  arrangement?: ArrangementId | null;
  /** The start of a bar. */
  at: Ticks;
  /** A power of two, 1 to 64. */
  denominator: number;
  numerator: number;
}

/** What `AddSignature` answers. */
export interface TimebaseAddSignatureReply {
  edit?: EditReceipt;
  point: SignaturePointId;
}

/** Changes a time signature. */
export interface TimebaseUpdateSignatureCommand {
  at?: Ticks | null;
  denominator?: number | null;
  numerator?: number | null;
  point: SignaturePointId;
}

/** Nothing to say but that it was done. */
export interface TimebaseUpdateSignatureReply {
  edit?: EditReceipt;
}

/** Removes a time signature. */
export interface TimebaseRemoveSignatureCommand {
  point: SignaturePointId;
}

/** Nothing to say but that it was done. */
export interface TimebaseRemoveSignatureReply {
  edit?: EditReceipt;
}

/** Inserts empty time: everything after it moves later, clips across it are cut. */
export interface TimebaseInsertTimeCommand {
  arrangement?: ArrangementId | null;
  at: Ticks;
  length: Ticks;
  /** Only these tracks, without tempo, signatures and markers; all when empty. */
  tracks?: TrackId[];
}

/** What `InsertTime` answers. */
export interface TimebaseInsertTimeReply {
  edit?: EditReceipt;
  edited: TimeEdited;
}

/** Takes time out: what is in it goes, everything after it moves earlier. */
export interface TimebaseRemoveTimeCommand {
  arrangement?: ArrangementId | null;
  range: TimeRange;
  tracks?: TrackId[];
}

/** What `RemoveTime` answers. */
export interface TimebaseRemoveTimeReply {
  edit?: EditReceipt;
  edited: TimeEdited;
}

/** Makes a stretch of time longer or shorter, with all that is in it. */
export interface TimebaseStretchTimeCommand {
  arrangement?: ArrangementId | null;
  /** Length of the stretch afterwards. */
  length: Ticks;
  range: TimeRange;
  tracks?: TrackId[];
}

/** What `StretchTime` answers. */
export interface TimebaseStretchTimeReply {
  edit?: EditReceipt;
  edited: TimeEdited;
}

/** Copies a stretch of time to right behind it. */
export interface TimebaseDuplicateTimeCommand {
  arrangement?: ArrangementId | null;
  range: TimeRange;
  tracks?: TrackId[];
}

/** What `DuplicateTime` answers. */
export interface TimebaseDuplicateTimeReply {
  copies: CopyOf[];
  edit?: EditReceipt;
  edited: TimeEdited;
}

/** Tells a place in every unit. */
export interface TimebaseConvertCommand {
  arrangement?: ArrangementId | null;
  at: Place;
  /** Sample rate for `frame`. */
  rate?: number | null;
}

/** What `Convert` answers. */
export interface TimebaseConvertReply {
  place: Converted;
}

/** Lists tempo points and signatures. */
export interface TimebaseListCommand {
  arrangement?: ArrangementId | null;
}

/** What `List` answers. */
export interface TimebaseListReply {
  signatures: SignaturePoint[];
  tempo: TempoPoint[];
}

/** Adds a marker. */
export interface MetadataAddMarkerCommand {
  arrangement?: ArrangementId | null;
  at: Moment;
  kind?: MarkerKind | null;
  name: string;
  timebase?: Timebase | null;
}

/** What `AddMarker` answers. */
export interface MetadataAddMarkerReply {
  edit?: EditReceipt;
  marker: MarkerId;
}

/** Changes a marker. */
export interface MetadataUpdateMarkerCommand {
  at?: Moment | null;
  kind?: MarkerKind | null;
  marker: MarkerId;
  name?: string | null;
}

/** Nothing to say but that it was done. */
export interface MetadataUpdateMarkerReply {
  edit?: EditReceipt;
}

/** Removes a marker. */
export interface MetadataRemoveMarkerCommand {
  marker: MarkerId;
}

/** Nothing to say but that it was done. */
export interface MetadataRemoveMarkerReply {
  edit?: EditReceipt;
}

/** Removes the markers of a stretch. */
export interface MetadataClearMarkersCommand {
  arrangement?: ArrangementId | null;
  range: TimeRange;
}

/** What `ClearMarkers` answers. */
export interface MetadataClearMarkersReply {
  edit?: EditReceipt;
  removed: number;
}

/** Adds a section. */
export interface MetadataAddSectionCommand {
  arrangement?: ArrangementId | null;
  colour?: string | null;
  name: string;
  range: TimeRange;
}

/** What `AddSection` answers. */
export interface MetadataAddSectionReply {
  edit?: EditReceipt;
  section: SectionId;
}

/** Changes a section; the content stays where it is. */
export interface MetadataUpdateSectionCommand {
  name?: string | null;
  range?: TimeRange | null;
  section: SectionId;
}

/** Nothing to say but that it was done. */
export interface MetadataUpdateSectionReply {
  edit?: EditReceipt;
}

/** Removes a section; the content stays. */
export interface MetadataRemoveSectionCommand {
  section: SectionId;
}

/** Nothing to say but that it was done. */
export interface MetadataRemoveSectionReply {
  edit?: EditReceipt;
}

/** Moves a section before another one, with everything that is in it. */
export interface MetadataMoveSectionCommand {
  /** At the end when absent. */
  before?: SectionId | null;
  section: SectionId;
}

/** Nothing to say but that it was done. */
export interface MetadataMoveSectionReply {
  edit?: EditReceipt;
}

/** Adds a musical key, or changes the one that is at this place. */
export interface MetadataAddKeyCommand {
  arrangement?: ArrangementId | null;
  at: Ticks;
  /** `major`, `minor`, `dorian`. */
  scale: string;
  /** 0 = C to 11 = B. */
  tonic: number;
}

/** What `AddKey` answers. */
export interface MetadataAddKeyReply {
  edit?: EditReceipt;
  key: KeyPointId;
}

/** Changes a key. */
export interface MetadataUpdateKeyCommand {
  at?: Ticks | null;
  key: KeyPointId;
  scale?: string | null;
  tonic?: number | null;
}

/** Nothing to say but that it was done. */
export interface MetadataUpdateKeyReply {
  edit?: EditReceipt;
}

/** Removes a key. */
export interface MetadataRemoveKeyCommand {
  key: KeyPointId;
}

/** Nothing to say but that it was done. */
export interface MetadataRemoveKeyReply {
  edit?: EditReceipt;
}

/** Sets free pairs of key and value on the project; null removes one. */
export interface MetadataSetInfoCommand {
  values: Record<string, string | null>;
}

/** Nothing to say but that it was done. */
export interface MetadataSetInfoReply {
  edit?: EditReceipt;
}

/** Adds and removes tags of the project or a media item. */
export interface MetadataSetTagsCommand {
  add?: string[];
  remove?: string[];
  /** A media item or a kit; the project when absent. */
  target?: EntityId | null;
}

/** What `SetTags` answers. */
export interface MetadataSetTagsReply {
  edit?: EditReceipt;
  tags: string[];
}

/** Changes how entities look. Never affects the sound. */
export interface MetadataSetViewCommand {
  collapsed?: boolean | null;
  /** `#rrggbb`; null takes the colour away. */
  colour?: string | null;
  entities: EntityId[];
  /** Height of a row, in rows of text. */
  height?: number | null;
  hidden?: boolean | null;
  /** Place in the node view. */
  x?: number | null;
  y?: number | null;
}

/** Nothing to say but that it was done. */
export interface MetadataSetViewReply {
  edit?: EditReceipt;
}

/** Adds a groove. */
export interface MetadataAddGrooveCommand {
  accents?: number[];
  name: string;
  offsets: Ticks[];
  step: Ticks;
}

/** What `AddGroove` answers. */
export interface MetadataAddGrooveReply {
  edit?: EditReceipt;
  groove: GrooveId;
}

/** Removes a groove; notes stay as they are. */
export interface MetadataRemoveGrooveCommand {
  groove: GrooveId;
}

/** What a deletion took with it and what it left without a target. */
export interface MetadataRemoveGrooveReply {
  /** Everything that is gone, with what was owned. */
  deleted: EntityId[];
  edit?: EditReceipt;
  /** What named one of them and names nothing now. */
  orphaned: EntityId[];
}

/** Lists markers, sections, keys and grooves. */
export interface MetadataListCommand {
  arrangement?: ArrangementId | null;
}

/** What `List` answers. */
export interface MetadataListReply {
  grooves: GrooveTemplate[];
  info: Record<string, string>;
  keys: KeyPoint[];
  markers: Marker[];
  sections: Section[];
  tags: string[];
}

/** Creates a scene. */
export interface SceneCreateCommand {
  arrangement?: ArrangementId | null;
  before?: SceneId | null;
  /** Tempo that launching sets. */
  bpm?: number | null;
  name?: string | null;
}

/** What `Create` answers. */
export interface SceneCreateReply {
  edit?: EditReceipt;
  scene: SceneId;
}

/** Deletes a scene with its slots; clips in them go too. */
export interface SceneDeleteCommand {
  scene: SceneId;
}

/** What a deletion took with it and what it left without a target. */
export interface SceneDeleteReply {
  /** Everything that is gone, with what was owned. */
  deleted: EntityId[];
  edit?: EditReceipt;
  /** What named one of them and names nothing now. */
  orphaned: EntityId[];
}

/** Copies a scene with its slots and clips. */
export interface SceneDuplicateCommand {
  scene: SceneId;
}

/** What a copy or a split made. */
export interface SceneDuplicateReply {
  /** Every original and its copy. */
  copies: CopyOf[];
  edit?: EditReceipt;
}

/** Changes a scene. */
export interface SceneUpdateCommand {
  bpm?: number | null;
  name?: string | null;
  scene: SceneId;
}

/** Nothing to say but that it was done. */
export interface SceneUpdateReply {
  edit?: EditReceipt;
}

/** Moves a scene among the others. */
export interface SceneMoveCommand {
  before?: SceneId | null;
  scene: SceneId;
}

/** Nothing to say but that it was done. */
export interface SceneMoveReply {
  edit?: EditReceipt;
}

/** Puts a clip into the slot of a scene and a track, or changes the slot. */
export interface SceneSetSlotCommand {
  /** Null empties the slot; absent leaves it. */
  clip?: ClipId | null;
  quantise?: LaunchQuantise | null;
  scene: SceneId;
  stopWhenEmpty?: boolean | null;
  track: TrackId;
}

/** What `SetSlot` answers. */
export interface SceneSetSlotReply {
  edit?: EditReceipt;
  slot: ClipSlotId;
}

/** Removes a slot; its clip goes too. */
export interface SceneClearSlotCommand {
  slot: ClipSlotId;
}

/** What a deletion took with it and what it left without a target. */
export interface SceneClearSlotReply {
  /** Everything that is gone, with what was owned. */
  deleted: EntityId[];
  edit?: EditReceipt;
  /** What named one of them and names nothing now. */
  orphaned: EntityId[];
}

/** Writes the clips of a scene onto the timeline. */
export interface ScenePlaceCommand {
  at: Ticks;
  /** The longest clip's length when absent. */
  length?: Ticks | null;
  scene: SceneId;
}

/** What a copy or a split made. */
export interface ScenePlaceReply {
  /** Every original and its copy. */
  copies: CopyOf[];
  edit?: EditReceipt;
}

/** Lists scenes and slots. */
export interface SceneListCommand {
  arrangement?: ArrangementId | null;
}

/** What `List` answers. */
export interface SceneListReply {
  scenes: Scene[];
  slots: ClipSlot[];
}

/** Keeps the present state of a track or a clip as a variant of it. */
export interface VariantCreateCommand {
  /** Play it from now on, so that edits go into it. */
  activate?: boolean;
  /** `A`, `B` and so on when absent. */
  name?: string | null;
  /** A track or a clip. */
  subject: EntityId;
}

/** What `Create` answers. */
export interface VariantCreateReply {
  edit?: EditReceipt;
  variant: VariantId;
}

/** Deletes a variant. The one that plays gives way to the original. */
export interface VariantDeleteCommand {
  variant: VariantId;
}

/** What a deletion took with it and what it left without a target. */
export interface VariantDeleteReply {
  /** Everything that is gone, with what was owned. */
  deleted: EntityId[];
  edit?: EditReceipt;
  /** What named one of them and names nothing now. */
  orphaned: EntityId[];
}

/** Renames a variant. */
export interface VariantRenameCommand {
  name: string;
  variant: VariantId;
}

/** Nothing to say but that it was done. */
export interface VariantRenameReply {
  edit?: EditReceipt;
}

/** Chooses what plays. */
export interface VariantActivateCommand {
  subject: EntityId;
  /** Null is the original. */
  variant?: VariantId | null;
}

/** Nothing to say but that it was done. */
export interface VariantActivateReply {
  edit?: EditReceipt;
}

/** Writes a variant into the original, which becomes like it. */
export interface VariantApplyCommand {
  /** Delete the variant afterwards. */
  consume?: boolean;
  variant: VariantId;
}

/** What `Apply` answers. */
export interface VariantApplyReply {
  changes: EntityDiff[];
  edit?: EditReceipt;
}

/** Makes a branch whose tip has the variant in the place of its original, and goes there if asked. The present branch stays as it is. */
export interface VariantPromoteCommand {
  branch: string;
  switch?: boolean;
  variant: VariantId;
}

/** What `Promote` answers. */
export interface VariantPromoteReply {
  branch: BranchInfo;
  commit: Hash;
}

/** Compares two variants of one subject, or a variant with the original. */
export interface VariantDiffCommand {
  from?: VariantId | null;
  to: VariantId;
}

/** What `Diff` answers. */
export interface VariantDiffReply {
  changes: EntityDiff[];
}

/** Lists the variants of a track or a clip. */
export interface VariantListCommand {
  subject?: EntityId | null;
}

/** What `List` answers. */
export interface VariantListReply {
  active?: VariantId | null;
  variants: Variant[];
}

/** Brings a file into the project. */
export interface MediaImportCommand {
  mode?: CopyMode;
  name?: string | null;
  /** Absolute path. */
  path: string;
  tags?: string[];
}

/** What `Import` answers. */
export interface MediaImportReply {
  /** The project had the same content already, under this item. */
  duplicate: boolean;
  edit?: EditReceipt;
  item: MediaItem;
  media: MediaId;
}

/** Makes an item for a file that is in the project's `Media/` already. */
export interface MediaRegisterCommand {
  name?: string | null;
  origin?: MediaOrigin | null;
  /** Relative to the project's `Media/`. */
  path: string;
}

/** What `Register` answers. */
export interface MediaRegisterReply {
  edit?: EditReceipt;
  item: MediaItem;
  media: MediaId;
}

/** Reserves an item and a path for a recording or a render to come. It is `pending` and enters no commit. */
export interface MediaReserveCommand {
  /** File extension: `wav`. */
  extension?: string | null;
  kind?: MediaKind | null;
  name: string;
  origin?: MediaOrigin | null;
}

/** What `Reserve` answers. */
export interface MediaReserveReply {
  edit?: EditReceipt;
  media: MediaId;
  /** Absolute path to write to. */
  path: string;
}

/** Says that the file of a reserved item is complete: it is read and hashed. */
export interface MediaFinaliseCommand {
  media: MediaId;
}

/** What `Finalise` answers. */
export interface MediaFinaliseReply {
  edit?: EditReceipt;
  item: MediaItem;
}

/** Gives a reserved item up; its file is moved to the project's trash. */
export interface MediaDiscardCommand {
  media: MediaId;
}

/** Nothing to say but that it was done. */
export interface MediaDiscardReply {
  edit?: EditReceipt;
}

/** Renames an item, or sets attributes; null removes one. */
export interface MediaUpdateCommand {
  attributes?: Record<string, string | null>;
  media: MediaId;
  name?: string | null;
}

/** Nothing to say but that it was done. */
export interface MediaUpdateReply {
  edit?: EditReceipt;
}

/** Takes items out of the project. Items in use stay, unless `force`: then their clips play silence. Files stay. */
export interface MediaRemoveCommand {
  force?: boolean;
  media: MediaId[];
}

/** What a deletion took with it and what it left without a target. */
export interface MediaRemoveReply {
  /** Everything that is gone, with what was owned. */
  deleted: EntityId[];
  edit?: EditReceipt;
  /** What named one of them and names nothing now. */
  orphaned: EntityId[];
}

/** Moves an item's file, or changes between copy and reference. */
export interface MediaRelocateCommand {
  media: MediaId;
  mode?: CopyMode;
  /** Absolute path; into the project when absent. */
  path?: string | null;
}

/** What `Relocate` answers. */
export interface MediaRelocateReply {
  edit?: EditReceipt;
  item: MediaItem;
}

/** Finds missing files again, by name, size and content, under these folders. */
export interface MediaRelinkCommand {
  /** Take a file of the same name and length whose content differs. */
  loose?: boolean;
  /** All missing items when empty. */
  media?: MediaId[];
  /** Absolute paths. */
  roots: string[];
}

/** What `Relink` answers. */
export interface MediaRelinkReply {
  edit?: EditReceipt;
  found: RelinkedItem[];
  /** Still missing. */
  missing: MediaId[];
}

/** Points an item at another file. With other content, everything that was derived from the old content is made anew. */
export interface MediaReplaceCommand {
  media: MediaId;
  path: string;
}

/** What `Replace` answers. */
export interface MediaReplaceReply {
  edit?: EditReceipt;
  item: MediaItem;
  sameContent: boolean;
}

/** Looks at the files again: which are there, which changed. */
export interface MediaRefreshCommand {
  media?: MediaId[];
}

/** What `Refresh` answers. */
export interface MediaRefreshReply {
  changed: MediaId[];
  missing: MediaId[];
}

/** Lists items. */
export interface MediaListCommand {
  filter?: MediaFilter;
  page?: Page;
}

/** What `List` answers. */
export interface MediaListReply {
  items: MediaItem[];
  more: boolean;
  total: number;
}

/** Tells everything about an item. */
export interface MediaDetailsCommand {
  media: MediaId;
}

/** What `Details` answers. */
export interface MediaDetailsReply {
  analyses: AnalysisArtefact[];
  /** What is true now. */
  availability: Availability;
  clips: ClipId[];
  item: MediaItem;
  /** Absolute path, where there is one. */
  path?: string | null;
}

/** Gives the peaks of a stretch of an item, for drawing. */
export interface MediaWaveformCommand {
  /** Frames; 0 is to the end. */
  length?: number;
  media: MediaId;
  /** How many pairs to give, 1 to 16,384. */
  points: number;
  /** First frame. */
  start?: number;
}

/** What `Waveform` answers. */
export interface MediaWaveformReply {
  channels: number;
  /** Minimum and maximum by turns, channel after channel within a point. */
  peaks: number[];
  sampleRate: number;
}

/** Adds a folder to the library and scans it. */
export interface LibraryAddRootCommand {
  path: string;
}

/** What `AddRoot` answers. */
export interface LibraryAddRootReply {
  job: JobId;
}

/** Takes a folder out of the library. Files stay. */
export interface LibraryRemoveRootCommand {
  path: string;
}

/** Nothing to say but that it was done. */
export interface LibraryRemoveRootReply {}

/** Lists the folders of the library. */
export interface LibraryRootsCommand {}

/** What `Roots` answers. */
export interface LibraryRootsReply {
  roots: LibraryRoot[];
}

/** Scans folders again. */
export interface LibraryScanCommand {
  /** All folders when absent. */
  path?: string | null;
}

/** What `Scan` answers. */
export interface LibraryScanReply {
  job: JobId;
}

/** Searches by words, facets and ranges. */
export interface LibrarySearchCommand {
  bpmMax?: number | null;
  bpmMin?: number | null;
  durationMax?: Flicks | null;
  durationMin?: Flicks | null;
  favourites?: boolean;
  key?: string | null;
  kind?: MediaKind | null;
  page?: Page;
  tags?: string[];
  text?: string | null;
}

/** What `Search` answers. */
export interface LibrarySearchReply {
  /** Counts per facet (`tags`, `key`). */
  facets: Record<string, FacetCount[]>;
  items: LibraryItem[];
  total: number;
}

/** Finds what sounds like an item. */
export interface LibrarySimilarCommand {
  file: Hash;
  page?: Page;
}

/** What `Similar` answers. */
export interface LibrarySimilarReply {
  items: LibraryItem[];
}

/** Tags items or marks them. */
export interface LibraryUpdateCommand {
  addTags?: string[];
  favourite?: boolean | null;
  files: Hash[];
  removeTags?: string[];
}

/** Nothing to say but that it was done. */
export interface LibraryUpdateReply {}

/** Gives the points of the map of sounds in a window. */
export interface LibraryCloudCommand {
  /** Most points to give. */
  limit?: number | null;
  xMax: number;
  xMin: number;
  yMax: number;
  yMin: number;
}

/** What `Cloud` answers. */
export interface LibraryCloudReply {
  points: CloudPoint[];
}

/** Plays an item without putting it into the project. */
export interface LibraryPreviewCommand {
  file: Hash;
  /** Follow the project's tempo. */
  sync?: boolean;
}

/** Nothing to say but that it was done. */
export interface LibraryPreviewReply {}

/** Ends a preview. */
export interface LibraryStopPreviewCommand {}

/** Nothing to say but that it was done. */
export interface LibraryStopPreviewReply {}

/** Creates a kit, filled if media are given: one per key upwards. */
export interface KitCreateCommand {
  /** Key of the first; 36 when absent. */
  firstKey?: number | null;
  media?: MediaId[];
  name: string;
}

/** What `Create` answers. */
export interface KitCreateReply {
  edit?: EditReceipt;
  kit: KitId;
  slots: KitSlotId[];
}

/** Deletes a kit; media stay. */
export interface KitDeleteCommand {
  kit: KitId;
}

/** What a deletion took with it and what it left without a target. */
export interface KitDeleteReply {
  /** Everything that is gone, with what was owned. */
  deleted: EntityId[];
  edit?: EditReceipt;
  /** What named one of them and names nothing now. */
  orphaned: EntityId[];
}

/** Copies a kit. */
export interface KitDuplicateCommand {
  kit: KitId;
}

/** What a copy or a split made. */
export interface KitDuplicateReply {
  /** Every original and its copy. */
  copies: CopyOf[];
  edit?: EditReceipt;
}

/** Renames a kit. */
export interface KitRenameCommand {
  kit: KitId;
  name: string;
}

/** Nothing to say but that it was done. */
export interface KitRenameReply {
  edit?: EditReceipt;
}

/** Adds a zone. */
export interface KitAddSlotCommand {
  kit: KitId;
  settings: SlotSettings;
}

/** What `AddSlot` answers. */
export interface KitAddSlotReply {
  edit?: EditReceipt;
  slot: KitSlotId;
}

/** Changes a zone. */
export interface KitUpdateSlotCommand {
  settings: SlotSettings;
  slot: KitSlotId;
}

/** Nothing to say but that it was done. */
export interface KitUpdateSlotReply {
  edit?: EditReceipt;
}

/** Removes a zone. */
export interface KitRemoveSlotCommand {
  slot: KitSlotId;
}

/** What a deletion took with it and what it left without a target. */
export interface KitRemoveSlotReply {
  /** Everything that is gone, with what was owned. */
  deleted: EntityId[];
  edit?: EditReceipt;
  /** What named one of them and names nothing now. */
  orphaned: EntityId[];
}

/** Cuts a media item at its onsets or in equal parts, and lays the parts out. */
export interface KitSliceCommand {
  media: MediaId;
  name: string;
  /** Equal parts; at onsets when absent. */
  parts?: number | null;
  /** How readily an onset is one, 0 to 1. */
  sensitivity?: number | null;
}

/** What `Slice` answers. */
export interface KitSliceReply {
  edit?: EditReceipt;
  kit: KitId;
  slots: KitSlotId[];
}

/** Lists kits, or the zones of one. */
export interface KitListCommand {
  kit?: KitId | null;
}

/** What `List` answers. */
export interface KitListReply {
  kits: Kit[];
  slots: KitSlot[];
}

/** Creates a workspace of pads. */
export interface PadCreateCommand {
  columns: number;
  name: string;
  /** 1 to 16. */
  rows: number;
  track?: TrackId | null;
}

/** What `Create` answers. */
export interface PadCreateReply {
  edit?: EditReceipt;
  workspace: PadWorkspaceId;
}

/** Deletes a workspace. */
export interface PadDeleteCommand {
  workspace: PadWorkspaceId;
}

/** What a deletion took with it and what it left without a target. */
export interface PadDeleteReply {
  /** Everything that is gone, with what was owned. */
  deleted: EntityId[];
  edit?: EditReceipt;
  /** What named one of them and names nothing now. */
  orphaned: EntityId[];
}

/** Says what a pad plays; null empties it. */
export interface PadAssignCommand {
  assignment?: PadAssignment | null;
  column: number;
  row: number;
  workspace: PadWorkspaceId;
}

/** Nothing to say but that it was done. */
export interface PadAssignReply {
  edit?: EditReceipt;
}

/** Plays or releases a pad. */
export interface PadTriggerCommand {
  column: number;
  row: number;
  /** 16 bits; 0 releases. */
  velocity: number;
  workspace: PadWorkspaceId;
}

/** Nothing to say but that it was done. */
export interface PadTriggerReply {}

/** Lists the workspaces. */
export interface PadListCommand {}

/** What `List` answers. */
export interface PadListReply {
  workspaces: PadWorkspace[];
}

/** Renders the mix to a file. */
export interface RenderingRenderCommand {
  arrangement?: ArrangementId | null;
  /** Absolute path. */
  path: string;
  rev?: Rev | null;
  settings?: RenderSettings;
}

/** What `Render` answers. */
export interface RenderingRenderReply {
  job: JobId;
}

/** Renders channels to one file each. */
export interface RenderingStemsCommand {
  arrangement?: ArrangementId | null;
  /** All track channels when empty. */
  channels?: ChannelId[];
  /** FLAC instead of WAV. */
  flac?: boolean;
  /** Absolute path of the folder. */
  folder: string;
  /** The mix as well, from the same pass, into this file. */
  mix?: string | null;
  /** Before the channel's fader. */
  preFader?: boolean;
  rev?: Rev | null;
  settings?: RenderSettings;
  /** Only channels that feed the master themselves: without groups in groups they sum to what reaches it. */
  top?: boolean;
}

/** What `Stems` answers. */
export interface RenderingStemsReply {
  job: JobId;
}

/** Renders tracks and plays the render in their place, until `unfreeze`. */
export interface RenderingFreezeCommand {
  /** Longest ring-out to keep behind the end of the song; 10 s when absent. */
  tail?: Flicks | null;
  tracks: TrackId[];
}

/** What `Freeze` answers. */
export interface RenderingFreezeReply {
  job: JobId;
}

/** Plays tracks themselves again. The render stays in the media pool. */
export interface RenderingUnfreezeCommand {
  tracks: TrackId[];
}

/** Nothing to say but that it was done. */
export interface RenderingUnfreezeReply {
  edit?: EditReceipt;
}

/** Renders clips or tracks, before the fader, to new audio clips. One undo takes the clips back; the media stay in the pool. */
export interface RenderingBounceCommand {
  /** An audio lane; when absent a new track behind the source's, with the strip and the sends of that. */
  lane?: LaneId | null;
  /** Mute what was bounced: the clip, the track, or the track's clips in the range. */
  muteSources?: boolean;
  /** What of the sources; all, and what rings out behind it, when absent. */
  range?: TimeRange | null;
  /** Clips or tracks; each becomes a clip. */
  sources: EntityId[];
  /** Longest ring-out to keep behind the source; 10 s when absent, none behind a `range`. */
  tail?: Flicks | null;
  /** With the channel's nodes, else only with those that make sound of notes. */
  withEffects?: boolean;
}

/** What `Bounce` answers. */
export interface RenderingBounceReply {
  job: JobId;
}

/** Renders a clip, a track or the mix to listen to: at half the rate, in pieces of a second, 30 s at most. A newer preview of the same client stops an older one. */
export interface RenderingPreviewCommand {
  /** Absolute path. */
  path: string;
  /** The whole source when absent. */
  range?: TimeRange | null;
  /** Hz; half of the project's when absent. */
  rate?: number | null;
  /** A clip or a track, alone and after the fader; the mix when absent. */
  source?: EntityId | null;
}

/** What `Preview` answers. */
export interface RenderingPreviewReply {
  job: JobId;
}

/** Renders two revisions and writes A, B and A − B, only where they differ. */
export interface RenderingAudibleDiffCommand {
  /** Compare these channels as well; what differs of them gets files of its own, from the first difference on. */
  channels?: ChannelId[];
  /** Compare every channel that either revision has. */
  each?: boolean;
  /** Absolute path of the folder. */
  folder: string;
  /** The last commit when absent. */
  from?: Rev | null;
  settings?: RenderSettings;
  /** The working copy when absent. */
  to?: Rev | null;
}

/** What `AudibleDiff` answers. */
export interface RenderingAudibleDiffReply {
  job: JobId;
}

/** Tells where two revisions sound different, without writing files. */
export interface RenderingCompareAudioCommand {
  channels?: ChannelId[];
  /** Compare every channel that either revision has. */
  each?: boolean;
  from?: Rev | null;
  to?: Rev | null;
}

/** What `CompareAudio` answers. */
export interface RenderingCompareAudioReply {
  job: JobId;
}

/** Stops a render. Segments that are done stay in the cache. */
export interface RenderingCancelCommand {
  job: JobId;
}

/** Nothing to say but that it was done. */
export interface RenderingCancelReply {}

/** Tells how far a render is, and what it made. */
export interface RenderingProgressCommand {
  job: JobId;
}

/** What `Progress` answers. */
export interface RenderingProgressReply {
  /** Of `audibleDiff` and `compareAudio`. */
  audible: AudibleRange[];
  job: Job;
  /** Set once it is done. */
  report?: RenderReport | null;
}

/** Tells how full the render cache is. */
export interface RenderingCacheInfoCommand {}

/** What `CacheInfo` answers. */
export interface RenderingCacheInfoReply {
  bytes: number;
  hits: number;
  limit: number;
  misses: number;
  segments: number;
}

/** Empties the render cache. It is rebuilt as it is needed. */
export interface RenderingClearCacheCommand {}

/** What `ClearCache` answers. */
export interface RenderingClearCacheReply {
  bytes: number;
}

/** Starts to record on all armed tracks, with count-in and punch as set. */
export interface RecordingStartCommand {
  mode?: RecordMode;
}

/** What `Start` answers. */
export interface RecordingStartReply {
  /** Reserved for what comes. */
  media: MediaId[];
  tracks: TrackId[];
}

/** Ends the recording; what was recorded becomes clips and takes. */
export interface RecordingStopCommand {
  /** Throw it away. */
  discard?: boolean;
}

/** What `Stop` answers. */
export interface RecordingStopReply {
  clips: ClipId[];
  takes: TakeId[];
}

/** Keeps what was played lately although nothing was recording. */
export interface RecordingCaptureCommand {
  tracks: TrackId[];
}

/** What `Capture` answers. */
export interface RecordingCaptureReply {
  clips: ClipId[];
  edit?: EditReceipt;
}

/** Sets how automation is written: from moved parameters, while playing. */
export interface RecordingSetAutomationModeCommand {
  mode: AutomationMode;
  track: TrackId;
}

/** Nothing to say but that it was done. */
export interface RecordingSetAutomationModeReply {}

/** Tells what is being recorded. */
export interface RecordingStatusCommand {}

/** What `Status` answers. */
export interface RecordingStatusReply {
  active: boolean;
  /** Seconds for which there is room on the disk. */
  roomSeconds?: number | null;
  started?: Ticks | null;
  tracks: TrackId[];
}

/** Lists audio devices and MIDI ports. */
export interface HardwareListCommand {
  /** Look again instead of giving what is known. */
  refresh?: boolean;
}

/** What `List` answers. */
export interface HardwareListReply {
  audio: AudioDevice[];
  midi: MidiPort[];
}

/** Chooses the audio device and how it runs. Falls back to the null device if it fails, and says so. */
export interface HardwareChooseCommand {
  block?: number | null;
  device?: string | null;
  /** `alsa`, `jack`, `null`; the present one when absent. */
  host?: string | null;
  rate?: number | null;
}

/** What `Choose` answers. */
export interface HardwareChooseReply {
  config: AudioConfig;
}

/** Opens or closes MIDI ports. */
export interface HardwareSetMidiCommand {
  active: boolean;
  ports: string[];
}

/** Nothing to say but that it was done. */
export interface HardwareSetMidiReply {}

/** Says which device fills a role of the project on this machine. */
export interface HardwareMapRoleCommand {
  /** Null takes the mapping away. */
  device?: string | null;
  firstChannel?: number;
  role: HardwareRoleId;
}

/** Nothing to say but that it was done. */
export interface HardwareMapRoleReply {}

/** Tells how the device runs. */
export interface HardwareStatusCommand {}

/** What `Status` answers. */
export interface HardwareStatusReply {
  config: AudioConfig;
  /** Roles of the project that nothing fills here. */
  unmapped: HardwareRoleId[];
}

/** Opens a stream from the client: binary frames of kind `gesture`, with one sample per target, in this order. */
export interface GestureOpenCommand {
  /** Frames per second that are to be expected. */
  rateHint?: number | null;
  /** Device and control, for people. */
  source?: string | null;
  targets: ParameterRef[];
}

/** What `Open` answers. */
export interface GestureOpenReply {
  /** Stream id of the frames. */
  stream: number;
}

/** Adds and removes targets of an open stream. */
export interface GestureBindCommand {
  stream: number;
  targets: ParameterRef[];
}

/** Nothing to say but that it was done. */
export interface GestureBindReply {}

/** Ends a stretch of movement: the last values become one edit. */
export interface GestureCommitCommand {
  cancel?: boolean;
  stream: number;
}

/** Nothing to say but that it was done. */
export interface GestureCommitReply {
  edit?: EditReceipt;
}

/** Closes a stream, committing what was moved. */
export interface GestureCloseCommand {
  stream: number;
}

/** Nothing to say but that it was done. */
export interface GestureCloseReply {}

/** Plays notes straight into a track, as a keyboard on the screen does. */
export interface GesturePlayCommand {
  channel?: number;
  /** 0 to 127. */
  pitch: number;
  track: TrackId;
  /** 16 bits; 0 releases. */
  velocity: number;
}

/** Nothing to say but that it was done. */
export interface GesturePlayReply {}

/** Opens a stream of meters. A frame has the samples of all channels; the layout says where each is. Frames may be lost; the sequence shows it. */
export interface MeteringOpenCommand {
  /** Bands of a spectrum, 16 to 4,096. */
  bands?: number | null;
  /** All channels of the arrangement when empty. */
  channels?: ChannelId[];
  kind: MeterKind;
  /** Frames per second, 1 to 60; 30 when absent. */
  rate?: number | null;
}

/** What `Open` answers. */
export interface MeteringOpenReply {
  layout: MeterSlot[];
  stream: number;
}

/** Closes a stream of meters. */
export interface MeteringCloseCommand {
  stream: number;
}

/** Nothing to say but that it was done. */
export interface MeteringCloseReply {}

/** Takes held peaks and integrated loudness back to nothing. */
export interface MeteringResetCommand {
  channels?: ChannelId[];
}

/** Nothing to say but that it was done. */
export interface MeteringResetReply {}

/** Gives levels once. */
export interface MeteringReadCommand {
  channels?: ChannelId[];
}

/** What `Read` answers. */
export interface MeteringReadReply {
  levels: ChannelLevel[];
}

/** Forces a track or a node into a cohort, or lets Pulse decide again. */
export interface CohortSetOverrideCommand {
  /** Null lets Pulse decide. */
  cohort?: CohortKind | null;
  target: EntityId;
}

/** Nothing to say but that it was done. */
export interface CohortSetOverrideReply {}

/** Says that an editor is open on a track or a node, which makes it live. */
export interface CohortSetEditorOpenCommand {
  open: boolean;
  target: EntityId;
}

/** Nothing to say but that it was done. */
export interface CohortSetEditorOpenReply {}

/** Lists the members of the cohorts. */
export interface CohortListCommand {}

/** What `List` answers. */
export interface CohortListReply {
  /** Hash of the assignment; it is the same when nothing changed. */
  hash: Hash;
  members: CohortMember[];
}

/** Tells why something is live or not: the chain of reasons. */
export interface CohortExplainCommand {
  target: EntityId;
}

/** What `Explain` answers. */
export interface CohortExplainReply {
  cohort: CohortKind;
  reasons: string[];
}

/** Lists installed plugins. */
export interface PluginListCommand {
  format?: string | null;
  page?: Page;
  text?: string | null;
}

/** What `List` answers. */
export interface PluginListReply {
  plugins: PluginInfo[];
}

/** Looks for plugins, each in a process of its own. */
export interface PluginScanCommand {
  /** Scan again what has not changed. */
  full?: boolean;
}

/** What `Scan` answers. */
export interface PluginScanReply {
  job: JobId;
}

/** Marks a plugin, or says that it must not be loaded. */
export interface PluginUpdateCommand {
  blocked?: boolean | null;
  favourite?: boolean | null;
  id: string;
}

/** Nothing to say but that it was done. */
export interface PluginUpdateReply {}

/** Lists the presets of a plugin. */
export interface PluginPresetsCommand {
  id: string;
}

/** What `Presets` answers. */
export interface PluginPresetsReply {
  presets: string[];
}

/** Loads a preset into an instance. */
export interface PluginLoadPresetCommand {
  node: NodeId;
  preset: string;
}

/** Nothing to say but that it was done. */
export interface PluginLoadPresetReply {
  edit?: EditReceipt;
}

/** Keeps an instance's state as a preset. */
export interface PluginSavePresetCommand {
  node: NodeId;
  preset: string;
}

/** Nothing to say but that it was done. */
export interface PluginSavePresetReply {}

/** Starts an instance again whose process has died. */
export interface PluginRestartCommand {
  node: NodeId;
}

/** Nothing to say but that it was done. */
export interface PluginRestartReply {}

/** Opens the window of an instance. */
export interface PluginOpenEditorCommand {
  node: NodeId;
}

/** Nothing to say but that it was done. */
export interface PluginOpenEditorReply {}

/** Closes the window of an instance. */
export interface PluginCloseEditorCommand {
  node: NodeId;
}

/** Nothing to say but that it was done. */
export interface PluginCloseEditorReply {}

/** Lists jobs, newest first. */
export interface JobListCommand {
  page?: Page;
  state?: JobState | null;
}

/** What `List` answers. */
export interface JobListReply {
  jobs: Job[];
}

/** Tells about one job. */
export interface JobGetCommand {
  job: JobId;
}

/** What `Get` answers. */
export interface JobGetReply {
  job: Job;
}

/** Stops a job as soon as it can stop. */
export interface JobCancelCommand {
  job: JobId;
}

/** Nothing to say but that it was done. */
export interface JobCancelReply {}

/** Starts a failed job again. */
export interface JobRetryCommand {
  job: JobId;
}

/** What `Retry` answers. */
export interface JobRetryReply {
  job: JobId;
}

/** Answers once a job is over, or after a time. */
export interface JobWaitCommand {
  job: JobId;
  timeoutMs?: number | null;
}

/** What `Wait` answers. */
export interface JobWaitReply {
  job: Job;
}

/** Reports on engine, store, clients and queues. */
export interface DiagnosticsReportCommand {}

/** What `Report` answers. */
export interface DiagnosticsReportReply {
  clients: number;
  engine: EngineReport;
  memoryBytes?: number | null;
  /** Counters and gauges by the names of the metrics endpoint. */
  metrics: Record<string, number>;
  queuedCommands: number;
  /** None while no project is open. */
  store?: StoreReport | null;
  uptimeMs: number;
  version: string;
}

/** Measures what each node costs, from now on or no longer. Off at first, because looking at the clock twice per node costs something itself. */
export interface DiagnosticsProfileCommand {
  enabled: boolean;
}

/** Nothing to say but that it was done. */
export interface DiagnosticsProfileReply {}

/** Tells which nodes cost most, the worst first, as measured since `diagnostics.profile` was turned on. */
export interface DiagnosticsNodeLoadsCommand {
  limit?: number | null;
}

/** What `NodeLoads` answers. */
export interface DiagnosticsNodeLoadsReply {
  loads: NodeLoad[];
  /** Whether nodes are being measured. */
  profiling: boolean;
}

/** Checks set-up and project and says what to do about what it finds. */
export interface DiagnosticsDoctorCommand {}

/** What `Doctor` answers. */
export interface DiagnosticsDoctorReply {
  findings: Finding[];
  healthy: boolean;
}

/** Checks every record, hash and reference of the project. */
export interface DiagnosticsCheckCommand {
  /** Read media as well. */
  media?: boolean;
}

/** What `Check` answers. */
export interface DiagnosticsCheckReply {
  checked: number;
  findings: Finding[];
}

/** Frees what nothing reaches any more. */
export interface DiagnosticsCollectGarbageCommand {
  /** Only count. */
  dryRun?: boolean;
}

/** What `CollectGarbage` answers. */
export interface DiagnosticsCollectGarbageReply {
  freedBytes: number;
  freedNodes: number;
  keptNodes: number;
}

/** Counts xruns and faults from zero again. */
export interface DiagnosticsResetCountersCommand {}

/** Nothing to say but that it was done. */
export interface DiagnosticsResetCountersReply {}

/** Gives back what it was given. */
export interface DebugEchoCommand {
  value?: unknown;
}

/** What `Echo` answers. */
export interface DebugEchoReply {
  value: unknown;
}

/** Sets how much is logged, as in `info,pulse_store=debug`. */
export interface DebugSetLogLevelCommand {
  filter: string;
}

/** Nothing to say but that it was done. */
export interface DebugSetLogLevelReply {}

/** Answers with an error of this code. */
export interface DebugSimulateErrorCommand {
  code: ErrorCode;
}

/** Nothing to say but that it was done. */
export interface DebugSimulateErrorReply {}

/** Gives the schema of a command, or of all. */
export interface DebugSchemaCommand {
  /** `domain.name`; all of them when absent. */
  command?: string | null;
}

/** What `Schema` answers. */
export interface DebugSchemaReply {
  schema: unknown;
}

/** Tells hashes of the state, so that two runs can be compared. */
export interface DebugStateHashCommand {}

/** What `StateHash` answers. */
export interface DebugStateHashReply {
  /** Hash of the graph that the engine plays. */
  graph?: Hash | null;
  revision: number;
  root: Hash;
}

/** Writes every command to a file from which `pulse` can replay it. */
export interface DebugLogCommandsCommand {
  /** Absolute path; null stops. */
  path?: string | null;
}

/** Nothing to say but that it was done. */
export interface DebugLogCommandsReply {}

export interface Commands {
  /** Introduces a client. It is the first message of a connection, and its encoding is that of the message itself unless `encoding` says otherwise. */
  "client.hello": { payload: ClientHelloCommand; reply: ClientHelloReply };
  /** Ends the connection after the reply. Subscriptions and streams end; what the client was holding (gestures) is let go as if it had been finished. */
  "client.goodbye": { payload: ClientGoodbyeCommand; reply: ClientGoodbyeReply };
  /** Asks whether the other side is alive. Both sides may send it; the answer is the event of the same name. */
  "client.heartbeat": { payload: ClientHeartbeatCommand; reply: ClientHeartbeatReply };
  /** Ends Pulse gracefully: the draft is kept, every client is told. */
  "client.shutdown": { payload: ClientShutdownCommand; reply: ClientShutdownReply };
  /** Makes this client the manager: the one that Pulse belongs to and without which it may shut down. Fails while another manager is connected. */
  "client.claimManager": { payload: ClientClaimManagerCommand; reply: ClientClaimManagerReply };
  /** Lists the connected clients. */
  "client.list": { payload: ClientListCommand; reply: ClientListReply };
  /** Changes what the client said about itself in its hello. */
  "client.update": { payload: ClientUpdateCommand; reply: ClientUpdateReply };
  /** Subscribes to events, by domain and name. Without a subscription a client gets the answers to its own commands and nothing else. */
  "client.subscribe": { payload: ClientSubscribeCommand; reply: ClientSubscribeReply };
  /** Ends a subscription of `client.subscribe`. */
  "client.unsubscribe": { payload: ClientUnsubscribeCommand; reply: ClientUnsubscribeReply };
  /** Lists the subscriptions and streams of this connection. */
  "client.subscriptions": { payload: ClientSubscriptionsCommand; reply: ClientSubscriptionsReply };
  /** Tells where session, engine and background work stand. */
  "session.status": { payload: SessionStatusCommand; reply: SessionStatusReply };
  /** Lists the warnings that stand. */
  "session.warnings": { payload: SessionWarningsCommand; reply: SessionWarningsReply };
  /** Takes a warning away for everybody. It comes back if its cause does. */
  "session.dismissWarning": { payload: SessionDismissWarningCommand; reply: SessionDismissWarningReply };
  /** Stops the audio engine and starts it again. Edits are not touched. */
  "session.restartEngine": { payload: SessionRestartEngineCommand; reply: SessionRestartEngineReply };
  /** Lists projects that were open lately. */
  "session.recent": { payload: SessionRecentCommand; reply: SessionRecentReply };
  /** Makes a project in a new folder and opens it. */
  "project.new": { payload: ProjectNewCommand; reply: ProjectNewReply };
  /** Opens a project. With a draft that nobody has decided about and without `draft`, it opens nothing and answers what the draft is. */
  "project.open": { payload: ProjectOpenCommand; reply: ProjectOpenReply };
  /** Closes the project. The draft stays and is there at the next open. */
  "project.close": { payload: ProjectCloseCommand; reply: ProjectCloseReply };
  /** Commits what was edited on the current branch. Answers the present commit if nothing was. */
  "project.save": { payload: ProjectSaveCommand; reply: ProjectSaveReply };
  /** Copies the project to a new folder, with its history, and goes on there. */
  "project.saveAs": { payload: ProjectSaveAsCommand; reply: ProjectSaveAsReply };
  /** Makes the draft durable now. Every acknowledged edit is durable already; this also writes a checkpoint, so that the next open is fast. */
  "project.saveDraft": { payload: ProjectSaveDraftCommand; reply: ProjectSaveDraftReply };
  /** Sets aside all edits since the last commit. They stay in the history and `history.jump` brings them back. */
  "project.discardDraft": { payload: ProjectDiscardDraftCommand; reply: ProjectDiscardDraftReply };
  /** Changes the title. */
  "project.rename": { payload: ProjectRenameCommand; reply: ProjectRenameReply };
  /** Moves the project's folder. The project stays open. */
  "project.move": { payload: ProjectMoveCommand; reply: ProjectMoveReply };
  /** Changes settings of the project. */
  "project.update": { payload: ProjectUpdateCommand; reply: ProjectUpdateReply };
  /** Tells what is open. */
  "project.info": { payload: ProjectInfoCommand; reply: ProjectInfoReply };
  /** Gives the whole project, or the named entities, as records. */
  "project.snapshot": { payload: ProjectSnapshotCommand; reply: ProjectSnapshotReply };
  /** Gives single entities by id. */
  "project.get": { payload: ProjectGetCommand; reply: ProjectGetReply };
  /** Finds entities by kind and name. */
  "project.find": { payload: ProjectFindCommand; reply: ProjectFindReply };
  /** Does several commands as one transaction: all of them or none, one entry of history, one event of change. */
  "project.batch": { payload: ProjectBatchCommand; reply: ProjectBatchReply };
  /** Writes a readable JSON form of the project, without loss. */
  "project.export": { payload: ProjectExportCommand; reply: ProjectExportReply };
  /** Replaces the project's content by what `project.export` wrote. */
  "project.import": { payload: ProjectImportCommand; reply: ProjectImportReply };
  /** Commits the edits of the working copy on the current branch. */
  "version.commit": { payload: VersionCommitCommand; reply: VersionCommitReply };
  /** Makes a branch at a revision, and switches to it if asked. */
  "version.branch": { payload: VersionBranchCommand; reply: VersionBranchReply };
  /** Lists branches. */
  "version.branches": { payload: VersionBranchesCommand; reply: VersionBranchesReply };
  /** Renames a branch. */
  "version.renameBranch": { payload: VersionRenameBranchCommand; reply: VersionRenameBranchReply };
  /** Deletes a branch. Its commits stay as long as something reaches them. */
  "version.deleteBranch": { payload: VersionDeleteBranchCommand; reply: VersionDeleteBranchReply };
  /** Switches to a branch or an older revision. The draft of the branch that is left is parked there and is back when one returns. Where the branch was moved away from under its draft, nothing happens without `draft`: `project.draftPending` asks, and `version.draft` shows what it is about. */
  "version.switch": { payload: VersionSwitchCommand; reply: VersionSwitchReply };
  /** Tells what the parked draft of a branch did, and what adopting it would do where the branch was moved meanwhile. Does nothing. */
  "version.draft": { payload: VersionDraftCommand; reply: VersionDraftReply };
  /** Names a revision for good. */
  "version.tag": { payload: VersionTagCommand; reply: VersionTagReply };
  /** Lists tags. */
  "version.tags": { payload: VersionTagsCommand; reply: VersionTagsReply };
  /** Takes a tag away. */
  "version.deleteTag": { payload: VersionDeleteTagCommand; reply: VersionDeleteTagReply };
  /** Lists commits, newest first. */
  "version.log": { payload: VersionLogCommand; reply: VersionLogReply };
  /** Shows one commit and what it changed. */
  "version.show": { payload: VersionShowCommand; reply: VersionShowReply };
  /** Compares two revisions, at the cost of what differs. */
  "version.diff": { payload: VersionDiffCommand; reply: VersionDiffReply };
  /** Merges a revision into the working copy. What both sides changed in different ways becomes a stored conflict; the field keeps ours, and the project stays playable. */
  "version.merge": { payload: VersionMergeCommand; reply: VersionMergeReply };
  /** Tells what a merge would do, and does nothing. */
  "version.mergePreview": { payload: VersionMergePreviewCommand; reply: VersionMergePreviewReply };
  /** Undoes a merge that is not committed. */
  "version.abortMerge": { payload: VersionAbortMergeCommand; reply: VersionAbortMergeReply };
  /** Lists conflicts that nobody has decided. */
  "version.conflicts": { payload: VersionConflictsCommand; reply: VersionConflictsReply };
  /** Decides conflicts. Deciding the last one does not commit. */
  "version.resolve": { payload: VersionResolveCommand; reply: VersionResolveReply };
  /** Undoes what a commit did, by an edit of the present. With a scope, only that part of it. */
  "version.revert": { payload: VersionRevertCommand; reply: VersionRevertReply };
  /** Sets entities back to how they were at a revision. */
  "version.restore": { payload: VersionRestoreCommand; reply: VersionRestoreReply };
  /** Does what a commit of another branch did, here. With a scope, only that part of it. */
  "version.pick": { payload: VersionPickCommand; reply: VersionPickReply };
  /** Undoes the caller's own latest edits. An undo is an edit that is appended: nothing is ever cut out of the history, and it survives a restart. */
  "history.undo": { payload: HistoryUndoCommand; reply: HistoryUndoReply };
  /** Does again what the caller undid last. */
  "history.redo": { payload: HistoryRedoCommand; reply: HistoryRedoReply };
  /** Goes to how things were after an entry, as one edit that can be undone. */
  "history.jump": { payload: HistoryJumpCommand; reply: HistoryJumpReply };
  /** Tells what undo and redo would do, per context. */
  "history.state": { payload: HistoryStateCommand; reply: HistoryStateReply };
  /** Lists entries, newest first. */
  "history.list": { payload: HistoryListCommand; reply: HistoryListReply };
  /** Shows what one entry changed. */
  "history.show": { payload: HistoryShowCommand; reply: HistoryShowReply };
  /** Gives a view once. */
  "view.get": { payload: ViewGetCommand; reply: ViewGetReply };
  /** Gives a view now and whatever changes in it from now on: snapshots (`view.state`) and deltas (`view.delta`), each with its position. A delta names the hash that it stands on; if that isn't the hash of what the client has, it asks for a snapshot with `view.resync`. */
  "view.subscribe": { payload: ViewSubscribeCommand; reply: ViewSubscribeReply };
  /** Moves the window of a subscription, as scrolling does. */
  "view.setWindow": { payload: ViewSetWindowCommand; reply: ViewSetWindowReply };
  /** Gives the whole of a subscribed view again, and goes on from there. */
  "view.resync": { payload: ViewResyncCommand; reply: ViewResyncReply };
  /** Ends a subscription of `view.subscribe`. */
  "view.unsubscribe": { payload: ViewUnsubscribeCommand; reply: ViewUnsubscribeReply };
  /** Names the views and what each takes. */
  "view.list": { payload: ViewListCommand; reply: ViewListReply };
  /** Creates an empty arrangement with a master channel. */
  "arrangement.create": { payload: ArrangementCreateCommand; reply: ArrangementCreateReply };
  /** Deletes an arrangement with everything in it. The last one stays. */
  "arrangement.delete": { payload: ArrangementDeleteCommand; reply: ArrangementDeleteReply };
  /** Copies an arrangement with its tracks, channels, clips and tempo map. */
  "arrangement.duplicate": { payload: ArrangementDuplicateCommand; reply: ArrangementDuplicateReply };
  /** Renames an arrangement. */
  "arrangement.rename": { payload: ArrangementRenameCommand; reply: ArrangementRenameReply };
  /** Changes notes and end of an arrangement. */
  "arrangement.update": { payload: ArrangementUpdateCommand; reply: ArrangementUpdateReply };
  /** Moves an arrangement in the list. */
  "arrangement.move": { payload: ArrangementMoveCommand; reply: ArrangementMoveReply };
  /** Makes an arrangement the one that plays. */
  "arrangement.activate": { payload: ArrangementActivateCommand; reply: ArrangementActivateReply };
  /** Names how an arrangement is at a commit. `arrangement.restoreVersion` brings it back. */
  "arrangement.nameVersion": { payload: ArrangementNameVersionCommand; reply: ArrangementNameVersionReply };
  /** Takes the name of a version away. The commit stays. */
  "arrangement.deleteVersion": { payload: ArrangementDeleteVersionCommand; reply: ArrangementDeleteVersionReply };
  /** Lists named versions. */
  "arrangement.versions": { payload: ArrangementVersionsCommand; reply: ArrangementVersionsReply };
  /** Sets an arrangement with everything in it back to a named version, by an edit of the present. */
  "arrangement.restoreVersion": { payload: ArrangementRestoreVersionCommand; reply: ArrangementRestoreVersionReply };
  /** Lists arrangements in order. */
  "arrangement.list": { payload: ArrangementListCommand; reply: ArrangementListReply };
  /** Creates a track with its channel (a folder has none) and a first lane. */
  "track.create": { payload: TrackCreateCommand; reply: TrackCreateReply };
  /** Deletes tracks with lanes, clips, channels and sends. What pointed at them is reported, not deleted. */
  "track.delete": { payload: TrackDeleteCommand; reply: TrackDeleteReply };
  /** Copies tracks with channel, nodes, automation and clips, next to the originals. Routes among the copied tracks lead to the copies. */
  "track.duplicate": { payload: TrackDuplicateCommand; reply: TrackDuplicateReply };
  /** Renames a track, and its channel if that had the same name. */
  "track.rename": { payload: TrackRenameCommand; reply: TrackRenameReply };
  /** Moves tracks among siblings or into a folder, in the order given. */
  "track.move": { payload: TrackMoveCommand; reply: TrackMoveReply };
  /** Puts tracks together in a new folder or group. */
  "track.group": { payload: TrackGroupCommand; reply: TrackGroupReply };
  /** Changes mute, solo, arm and monitoring. */
  "track.setFlags": { payload: TrackSetFlagsCommand; reply: TrackSetFlagsReply };
  /** Says who renders a track: the live engine or the one that works ahead. */
  "track.setPolicy": { payload: TrackSetPolicyCommand; reply: TrackSetPolicyReply };
  /** Gives a folder a channel, which sums what it holds, or takes it away. */
  "track.setChannel": { payload: TrackSetChannelCommand; reply: TrackSetChannelReply };
  /** Lists the tracks of an arrangement in the order shown, parents first. */
  "track.list": { payload: TrackListCommand; reply: TrackListReply };
  /** Creates a lane. */
  "lane.create": { payload: LaneCreateCommand; reply: LaneCreateReply };
  /** Deletes a lane with its clips, takes and envelopes. */
  "lane.delete": { payload: LaneDeleteCommand; reply: LaneDeleteReply };
  /** Copies a lane with its clips. */
  "lane.duplicate": { payload: LaneDuplicateCommand; reply: LaneDuplicateReply };
  /** Changes a lane. */
  "lane.update": { payload: LaneUpdateCommand; reply: LaneUpdateReply };
  /** Moves a lane among those of its track, or to another track. */
  "lane.move": { payload: LaneMoveCommand; reply: LaneMoveReply };
  /** Makes a take of a clip: one recording pass to choose from. */
  "lane.addTake": { payload: LaneAddTakeCommand; reply: LaneAddTakeReply };
  /** Changes a take. */
  "lane.updateTake": { payload: LaneUpdateTakeCommand; reply: LaneUpdateTakeReply };
  /** Deletes a take; its clip stays unless it is asked to go. */
  "lane.deleteTake": { payload: LaneDeleteTakeCommand; reply: LaneDeleteTakeReply };
  /** Creates a comp: a choice of stretches from the takes of a lane. */
  "lane.createComp": { payload: LaneCreateCompCommand; reply: LaneCreateCompReply };
  /** Chooses which take sounds in a stretch of a comp. */
  "lane.compRange": { payload: LaneCompRangeCommand; reply: LaneCompRangeReply };
  /** Changes a comp. */
  "lane.updateComp": { payload: LaneUpdateCompCommand; reply: LaneUpdateCompReply };
  /** Deletes a comp; the takes stay. */
  "lane.deleteComp": { payload: LaneDeleteCompCommand; reply: LaneDeleteCompReply };
  /** Turns a comp into plain clips. */
  "lane.flattenComp": { payload: LaneFlattenCompCommand; reply: LaneFlattenCompReply };
  /** Creates a clip on a lane. */
  "clip.create": { payload: ClipCreateCommand; reply: ClipCreateReply };
  /** Deletes clips with their content. */
  "clip.delete": { payload: ClipDeleteCommand; reply: ClipDeleteReply };
  /** Moves clips in time or to other lanes. A clip that leaves a variant and is in the original too stays there as it is; what arrives on the other lane is another clip, which `copies` names. */
  "clip.move": { payload: ClipMoveCommand; reply: ClipMoveReply };
  /** Moves clips by the same amount of musical time. */
  "clip.nudge": { payload: ClipNudgeCommand; reply: ClipNudgeReply };
  /** Moves one end of a clip. The content stays where it is in time. */
  "clip.resize": { payload: ClipResizeCommand; reply: ClipResizeReply };
  /** Moves the content inside a clip, whose ends stay. */
  "clip.slip": { payload: ClipSlipCommand; reply: ClipSlipReply };
  /** Cuts clips in two at a place. */
  "clip.split": { payload: ClipSplitCommand; reply: ClipSplitReply };
  /** Joins clips of one lane into one. Audio clips must continue each other; others become one audio clip through `rendering.bounce`. */
  "clip.merge": { payload: ClipMergeCommand; reply: ClipMergeReply };
  /** Copies clips with their content. */
  "clip.duplicate": { payload: ClipDuplicateCommand; reply: ClipDuplicateReply };
  /** Changes a clip's fields; absent ones stay as they are. */
  "clip.update": { payload: ClipUpdateCommand; reply: ClipUpdateReply };
  /** Sets or ends the loop inside a clip. */
  "clip.setLoop": { payload: ClipSetLoopCommand; reply: ClipSetLoopReply };
  /** Lets a clip follow the tempo (`musical`) or stay where it is (`absolute`). */
  "clip.setTimebase": { payload: ClipSetTimebaseCommand; reply: ClipSetTimebaseReply };
  /** Changes a clip's length by stretching its content to fit. */
  "clip.stretch": { payload: ClipStretchCommand; reply: ClipStretchReply };
  /** Moves clips onto a raster. */
  "clip.quantise": { payload: ClipQuantiseCommand; reply: ClipQuantiseReply };
  /** Lets two neighbouring clips cross-fade. */
  "clip.crossfade": { payload: ClipCrossfadeCommand; reply: ClipCrossfadeReply };
  /** Adds audio to a clip. */
  "clip.addRegion": { payload: ClipAddRegionCommand; reply: ClipAddRegionReply };
  /** Changes which stretch of media a region plays, and how it is warped. */
  "clip.updateRegion": { payload: ClipUpdateRegionCommand; reply: ClipUpdateRegionReply };
  /** Takes audio out of a clip; the media item stays. */
  "clip.deleteRegion": { payload: ClipDeleteRegionCommand; reply: ClipDeleteRegionReply };
  /** Lists the clips of a lane or track, by start. */
  "clip.list": { payload: ClipListCommand; reply: ClipListReply };
  /** Adds notes to a clip. */
  "note.add": { payload: NoteAddCommand; reply: NoteAddReply };
  /** Changes notes one by one. */
  "note.update": { payload: NoteUpdateCommand; reply: NoteUpdateReply };
  /** Deletes notes. */
  "note.delete": { payload: NoteDeleteCommand; reply: NoteDeleteReply };
  /** Moves notes in time and pitch by the same amount. Notes that would leave the keyboard stop the whole move. */
  "note.move": { payload: NoteMoveCommand; reply: NoteMoveReply };
  /** Copies notes within a clip or into another. */
  "note.duplicate": { payload: NoteDuplicateCommand; reply: NoteDuplicateReply };
  /** Moves notes onto a raster. */
  "note.quantise": { payload: NoteQuantiseCommand; reply: NoteQuantiseReply };
  /** Moves notes a little at random. The same seed gives the same notes. */
  "note.humanise": { payload: NoteHumaniseCommand; reply: NoteHumaniseReply };
  /** Multiplies lengths, velocities or both. */
  "note.scale": { payload: NoteScaleCommand; reply: NoteScaleReply };
  /** Lets each note last until the next one of its voice starts. */
  "note.legato": { payload: NoteLegatoCommand; reply: NoteLegatoReply };
  /** Cuts notes in two. */
  "note.split": { payload: NoteSplitCommand; reply: NoteSplitReply };
  /** Adds controllers, pitch bends, programs and the like. */
  "note.addEvents": { payload: NoteAddEventsCommand; reply: NoteAddEventsReply };
  /** Moves or changes one event. */
  "note.updateEvent": { payload: NoteUpdateEventCommand; reply: NoteUpdateEventReply };
  /** Deletes events. */
  "note.deleteEvents": { payload: NoteDeleteEventsCommand; reply: NoteDeleteEventsReply };
  /** Lists the notes and events of a clip. */
  "note.list": { payload: NoteListCommand; reply: NoteListReply };
  /** Measures the feel of a clip's notes and keeps it as a groove. */
  "note.extractGroove": { payload: NoteExtractGrooveCommand; reply: NoteExtractGrooveReply };
  /** Creates a bus or a return. Track channels come with their tracks. */
  "channel.create": { payload: ChannelCreateCommand; reply: ChannelCreateReply };
  /** Deletes a bus or a return. What fed it feeds the master, or nothing. */
  "channel.delete": { payload: ChannelDeleteCommand; reply: ChannelDeleteReply };
  /** Copies a bus or a return with its nodes. */
  "channel.duplicate": { payload: ChannelDuplicateCommand; reply: ChannelDuplicateReply };
  /** Renames a channel. */
  "channel.rename": { payload: ChannelRenameCommand; reply: ChannelRenameReply };
  /** Moves a channel among the others. */
  "channel.move": { payload: ChannelMoveCommand; reply: ChannelMoveReply };
  /** Sets the fader, in dB. */
  "channel.setGain": { payload: ChannelSetGainCommand; reply: ChannelSetGainReply };
  /** Sets place and width in the stereo image. */
  "channel.setPan": { payload: ChannelSetPanCommand; reply: ChannelSetPanReply };
  /** Mutes channels. */
  "channel.setMute": { payload: ChannelSetMuteCommand; reply: ChannelSetMuteReply };
  /** Turns the polarity of one side or both. */
  "channel.setPolarity": { payload: ChannelSetPolarityCommand; reply: ChannelSetPolarityReply };
  /** Chooses what a channel hears. */
  "channel.setInput": { payload: ChannelSetInputCommand; reply: ChannelSetInputReply };
  /** Chooses where a channel goes. */
  "channel.setOutput": { payload: ChannelSetOutputCommand; reply: ChannelSetOutputReply };
  /** Sets the number of audio channels. */
  "channel.setLayout": { payload: ChannelSetLayoutCommand; reply: ChannelSetLayoutReply };
  /** Removes all wires, so that the channel runs its nodes in their order. */
  "channel.resetGraph": { payload: ChannelResetGraphCommand; reply: ChannelResetGraphReply };
  /** Lists the channels of an arrangement in mixer order. */
  "channel.list": { payload: ChannelListCommand; reply: ChannelListReply };
  /** Adds a processor to a channel. */
  "node.add": { payload: NodeAddCommand; reply: NodeAddReply };
  /** Removes nodes with their wires, side chains and envelopes. */
  "node.remove": { payload: NodeRemoveCommand; reply: NodeRemoveReply };
  /** Moves a node within its channel or to another one. */
  "node.move": { payload: NodeMoveCommand; reply: NodeMoveReply };
  /** Copies nodes with their settings. */
  "node.duplicate": { payload: NodeDuplicateCommand; reply: NodeDuplicateReply };
  /** Renames a node. */
  "node.rename": { payload: NodeRenameCommand; reply: NodeRenameReply };
  /** Lets the signal pass nodes by, or through them again. */
  "node.setBypass": { payload: NodeSetBypassCommand; reply: NodeSetBypassReply };
  /** Puts another kind in a node's place. Parameters of the same name stay. */
  "node.replace": { payload: NodeReplaceCommand; reply: NodeReplaceReply };
  /** Chooses the kit that a sampler plays. */
  "node.setKit": { payload: NodeSetKitCommand; reply: NodeSetKitReply };
  /** Takes a node's settings back to the defaults. */
  "node.reset": { payload: NodeResetCommand; reply: NodeResetReply };
  /** Makes a stack: alternatives for one place in a chain, of which one sounds. */
  "node.createStack": { payload: NodeCreateStackCommand; reply: NodeCreateStackReply };
  /** Deletes a stack. The nodes of the alternative that sounds stay in the chain. */
  "node.deleteStack": { payload: NodeDeleteStackCommand; reply: NodeDeleteStackReply };
  /** Renames a stack or replaces its alternatives. */
  "node.updateStack": { payload: NodeUpdateStackCommand; reply: NodeUpdateStackReply };
  /** Chooses the alternative of a stack that sounds. */
  "node.setActive": { payload: NodeSetActiveCommand; reply: NodeSetActiveReply };
  /** Draws a wire inside a channel. With wires, the order of nodes no longer says how the signal runs. */
  "node.connect": { payload: NodeConnectCommand; reply: NodeConnectReply };
  /** Removes a wire. */
  "node.disconnect": { payload: NodeDisconnectCommand; reply: NodeDisconnectReply };
  /** Lists the kinds of processor that this Pulse can host. */
  "node.kinds": { payload: NodeKindsCommand; reply: NodeKindsReply };
  /** Describes one node: its kind, its values, its latency. */
  "node.describe": { payload: NodeDescribeCommand; reply: NodeDescribeReply };
  /** Lists the nodes of a channel, with stacks and wires. */
  "node.list": { payload: NodeListCommand; reply: NodeListReply };
  /** Sets a value as one edit. */
  "parameter.setValue": { payload: ParameterSetValueCommand; reply: ParameterSetValueReply };
  /** Sets several values as one edit. */
  "parameter.setValues": { payload: ParameterSetValuesCommand; reply: ParameterSetValuesReply };
  /** Takes values back to the defaults; all of the target's when none is named. */
  "parameter.reset": { payload: ParameterResetCommand; reply: ParameterResetReply };
  /** Begins to move a parameter. One client holds a parameter at a time. */
  "parameter.beginGesture": { payload: ParameterBeginGestureCommand; reply: ParameterBeginGestureReply };
  /** Moves the parameter of a gesture. Straight to the engine; not an edit yet. `parameter.gesture` tells it; there is no event of this name. */
  "parameter.updateGesture": { payload: ParameterUpdateGestureCommand; reply: ParameterUpdateGestureReply };
  /** Ends a gesture: the last value becomes one edit, or none with `cancel`. */
  "parameter.endGesture": { payload: ParameterEndGestureCommand; reply: ParameterEndGestureReply };
  /** Tells values, defaults and ranges of a target's parameters. */
  "parameter.get": { payload: ParameterGetCommand; reply: ParameterGetReply };
  /** Makes a group: parameters that move together. */
  "parameter.createGroup": { payload: ParameterCreateGroupCommand; reply: ParameterCreateGroupReply };
  /** Changes a group. */
  "parameter.updateGroup": { payload: ParameterUpdateGroupCommand; reply: ParameterUpdateGroupReply };
  /** Moves all members of a group by the same part of their ranges. */
  "parameter.moveGroup": { payload: ParameterMoveGroupCommand; reply: ParameterMoveGroupReply };
  /** Deletes a group; the parameters keep their values. */
  "parameter.deleteGroup": { payload: ParameterDeleteGroupCommand; reply: ParameterDeleteGroupReply };
  /** Lets one parameter follow another. */
  "parameter.createLink": { payload: ParameterCreateLinkCommand; reply: ParameterCreateLinkReply };
  /** Changes a link. */
  "parameter.updateLink": { payload: ParameterUpdateLinkCommand; reply: ParameterUpdateLinkReply };
  /** Deletes a link. */
  "parameter.deleteLink": { payload: ParameterDeleteLinkCommand; reply: ParameterDeleteLinkReply };
  /** Adds a modulator's output to a parameter. */
  "parameter.addModulation": { payload: ParameterAddModulationCommand; reply: ParameterAddModulationReply };
  /** Changes a modulation. */
  "parameter.updateModulation": { payload: ParameterUpdateModulationCommand; reply: ParameterUpdateModulationReply };
  /** Removes a modulation. */
  "parameter.removeModulation": { payload: ParameterRemoveModulationCommand; reply: ParameterRemoveModulationReply };
  /** Makes an envelope for a parameter, on a lane or inside a clip. */
  "automation.createEnvelope": { payload: AutomationCreateEnvelopeCommand; reply: AutomationCreateEnvelopeReply };
  /** Deletes an envelope with its points. */
  "automation.deleteEnvelope": { payload: AutomationDeleteEnvelopeCommand; reply: AutomationDeleteEnvelopeReply };
  /** Switches an envelope on or off, or points it at another parameter. */
  "automation.updateEnvelope": { payload: AutomationUpdateEnvelopeCommand; reply: AutomationUpdateEnvelopeReply };
  /** Copies an envelope to another lane, clip or parameter. */
  "automation.duplicateEnvelope": { payload: AutomationDuplicateEnvelopeCommand; reply: AutomationDuplicateEnvelopeReply };
  /** Adds points. */
  "automation.addPoints": { payload: AutomationAddPointsCommand; reply: AutomationAddPointsReply };
  /** Moves or reshapes points. */
  "automation.updatePoints": { payload: AutomationUpdatePointsCommand; reply: AutomationUpdatePointsReply };
  /** Deletes points. */
  "automation.deletePoints": { payload: AutomationDeletePointsCommand; reply: AutomationDeletePointsReply };
  /** Deletes the points of a stretch, keeping the values at its ends. */
  "automation.clearRange": { payload: AutomationClearRangeCommand; reply: AutomationClearRangeReply };
  /** Moves the points of a stretch in time, value or both. */
  "automation.moveRange": { payload: AutomationMoveRangeCommand; reply: AutomationMoveRangeReply };
  /** Multiplies the values of a stretch around a centre. */
  "automation.scaleRange": { payload: AutomationScaleRangeCommand; reply: AutomationScaleRangeReply };
  /** Gives all segments of a stretch one shape. */
  "automation.shapeRange": { payload: AutomationShapeRangeCommand; reply: AutomationShapeRangeReply };
  /** Replaces a stretch by other points. */
  "automation.replaceRange": { payload: AutomationReplaceRangeCommand; reply: AutomationReplaceRangeReply };
  /** Removes points that the curve doesn't need, within a tolerance. */
  "automation.thin": { payload: AutomationThinCommand; reply: AutomationThinReply };
  /** Lists the envelopes of a lane, a clip or a target, with their points. */
  "automation.list": { payload: AutomationListCommand; reply: AutomationListReply };
  /** Sends a copy of a channel's signal to another channel. */
  "routing.addSend": { payload: RoutingAddSendCommand; reply: RoutingAddSendReply };
  /** Changes a send. */
  "routing.updateSend": { payload: RoutingUpdateSendCommand; reply: RoutingUpdateSendReply };
  /** Removes a send. */
  "routing.removeSend": { payload: RoutingRemoveSendCommand; reply: RoutingRemoveSendReply };
  /** Moves a send among those of its channel. */
  "routing.moveSend": { payload: RoutingMoveSendCommand; reply: RoutingMoveSendReply };
  /** Lets a node listen to a channel beside its own input. */
  "routing.addSidechain": { payload: RoutingAddSidechainCommand; reply: RoutingAddSidechainReply };
  /** Changes a side chain. */
  "routing.updateSidechain": { payload: RoutingUpdateSidechainCommand; reply: RoutingUpdateSidechainReply };
  /** Removes a side chain. */
  "routing.removeSidechain": { payload: RoutingRemoveSidechainCommand; reply: RoutingRemoveSidechainReply };
  /** Makes another bus the master of its arrangement; the old one becomes a bus. */
  "routing.setMaster": { payload: RoutingSetMasterCommand; reply: RoutingSetMasterReply };
  /** Makes a hardware role: a job for a device ("vocal mic"), by name. */
  "routing.createRole": { payload: RoutingCreateRoleCommand; reply: RoutingCreateRoleReply };
  /** Renames a role, or says which device filled it last. */
  "routing.updateRole": { payload: RoutingUpdateRoleCommand; reply: RoutingUpdateRoleReply };
  /** Deletes a role. */
  "routing.deleteRole": { payload: RoutingDeleteRoleCommand; reply: RoutingDeleteRoleReply };
  /** Gives the graph of channels. */
  "routing.graph": { payload: RoutingGraphCommand; reply: RoutingGraphReply };
  /** Tells whether a route would be legal, and else which loop it closes. */
  "routing.check": { payload: RoutingCheckCommand; reply: RoutingCheckReply };
  /** Lists sends, side chains and roles. */
  "routing.list": { payload: RoutingListCommand; reply: RoutingListReply };
  /** Plays from where the transport stands, or from a place. */
  "transport.play": { payload: TransportPlayCommand; reply: TransportPlayReply };
  /** Stops and stays where it is. A second stop goes back to where play began. */
  "transport.stop": { payload: TransportStopCommand; reply: TransportStopReply };
  /** Halts, keeping tails and voices for the next play. */
  "transport.pause": { payload: TransportPauseCommand; reply: TransportPauseReply };
  /** Goes to a place, playing or not. */
  "transport.seek": { payload: TransportSeekCommand; reply: TransportSeekReply };
  /** Sets the loop, on or off, and its range. */
  "transport.setLoop": { payload: TransportSetLoopCommand; reply: TransportSetLoopReply };
  /** Sets where recording starts and ends by itself. */
  "transport.setPunch": { payload: TransportSetPunchCommand; reply: TransportSetPunchReply };
  /** Sets how a recording is led in. */
  "transport.setCountIn": { payload: TransportSetCountInCommand; reply: TransportSetCountInReply };
  /** Sets the metronome. */
  "transport.setMetronome": { payload: TransportSetMetronomeCommand; reply: TransportSetMetronomeReply };
  /** Silences everything at once: notes off, tails cut. */
  "transport.panic": { payload: TransportPanicCommand; reply: TransportPanicReply };
  /** Tells where the transport stands. */
  "transport.state": { payload: TransportStateCommand; reply: TransportStateReply };
  /** Adds a tempo point, or changes the one that is at this place. */
  "timebase.addTempo": { payload: TimebaseAddTempoCommand; reply: TimebaseAddTempoReply };
  /** Changes a tempo point. */
  "timebase.updateTempo": { payload: TimebaseUpdateTempoCommand; reply: TimebaseUpdateTempoReply };
  /** Removes a tempo point. */
  "timebase.removeTempo": { payload: TimebaseRemoveTempoCommand; reply: TimebaseRemoveTempoReply };
  /** Adds a time signature, or changes the one that is at this place. */
  "timebase.addSignature": { payload: TimebaseAddSignatureCommand; reply: TimebaseAddSignatureReply };
  /** Changes a time signature. */
  "timebase.updateSignature": { payload: TimebaseUpdateSignatureCommand; reply: TimebaseUpdateSignatureReply };
  /** Removes a time signature. */
  "timebase.removeSignature": { payload: TimebaseRemoveSignatureCommand; reply: TimebaseRemoveSignatureReply };
  /** Inserts empty time: everything after it moves later, clips across it are cut. */
  "timebase.insertTime": { payload: TimebaseInsertTimeCommand; reply: TimebaseInsertTimeReply };
  /** Takes time out: what is in it goes, everything after it moves earlier. */
  "timebase.removeTime": { payload: TimebaseRemoveTimeCommand; reply: TimebaseRemoveTimeReply };
  /** Makes a stretch of time longer or shorter, with all that is in it. */
  "timebase.stretchTime": { payload: TimebaseStretchTimeCommand; reply: TimebaseStretchTimeReply };
  /** Copies a stretch of time to right behind it. */
  "timebase.duplicateTime": { payload: TimebaseDuplicateTimeCommand; reply: TimebaseDuplicateTimeReply };
  /** Tells a place in every unit. */
  "timebase.convert": { payload: TimebaseConvertCommand; reply: TimebaseConvertReply };
  /** Lists tempo points and signatures. */
  "timebase.list": { payload: TimebaseListCommand; reply: TimebaseListReply };
  /** Adds a marker. */
  "metadata.addMarker": { payload: MetadataAddMarkerCommand; reply: MetadataAddMarkerReply };
  /** Changes a marker. */
  "metadata.updateMarker": { payload: MetadataUpdateMarkerCommand; reply: MetadataUpdateMarkerReply };
  /** Removes a marker. */
  "metadata.removeMarker": { payload: MetadataRemoveMarkerCommand; reply: MetadataRemoveMarkerReply };
  /** Removes the markers of a stretch. */
  "metadata.clearMarkers": { payload: MetadataClearMarkersCommand; reply: MetadataClearMarkersReply };
  /** Adds a section. */
  "metadata.addSection": { payload: MetadataAddSectionCommand; reply: MetadataAddSectionReply };
  /** Changes a section; the content stays where it is. */
  "metadata.updateSection": { payload: MetadataUpdateSectionCommand; reply: MetadataUpdateSectionReply };
  /** Removes a section; the content stays. */
  "metadata.removeSection": { payload: MetadataRemoveSectionCommand; reply: MetadataRemoveSectionReply };
  /** Moves a section before another one, with everything that is in it. */
  "metadata.moveSection": { payload: MetadataMoveSectionCommand; reply: MetadataMoveSectionReply };
  /** Adds a musical key, or changes the one that is at this place. */
  "metadata.addKey": { payload: MetadataAddKeyCommand; reply: MetadataAddKeyReply };
  /** Changes a key. */
  "metadata.updateKey": { payload: MetadataUpdateKeyCommand; reply: MetadataUpdateKeyReply };
  /** Removes a key. */
  "metadata.removeKey": { payload: MetadataRemoveKeyCommand; reply: MetadataRemoveKeyReply };
  /** Sets free pairs of key and value on the project; null removes one. */
  "metadata.setInfo": { payload: MetadataSetInfoCommand; reply: MetadataSetInfoReply };
  /** Adds and removes tags of the project or a media item. */
  "metadata.setTags": { payload: MetadataSetTagsCommand; reply: MetadataSetTagsReply };
  /** Changes how entities look. Never affects the sound. */
  "metadata.setView": { payload: MetadataSetViewCommand; reply: MetadataSetViewReply };
  /** Adds a groove. */
  "metadata.addGroove": { payload: MetadataAddGrooveCommand; reply: MetadataAddGrooveReply };
  /** Removes a groove; notes stay as they are. */
  "metadata.removeGroove": { payload: MetadataRemoveGrooveCommand; reply: MetadataRemoveGrooveReply };
  /** Lists markers, sections, keys and grooves. */
  "metadata.list": { payload: MetadataListCommand; reply: MetadataListReply };
  /** Creates a scene. */
  "scene.create": { payload: SceneCreateCommand; reply: SceneCreateReply };
  /** Deletes a scene with its slots; clips in them go too. */
  "scene.delete": { payload: SceneDeleteCommand; reply: SceneDeleteReply };
  /** Copies a scene with its slots and clips. */
  "scene.duplicate": { payload: SceneDuplicateCommand; reply: SceneDuplicateReply };
  /** Changes a scene. */
  "scene.update": { payload: SceneUpdateCommand; reply: SceneUpdateReply };
  /** Moves a scene among the others. */
  "scene.move": { payload: SceneMoveCommand; reply: SceneMoveReply };
  /** Puts a clip into the slot of a scene and a track, or changes the slot. */
  "scene.setSlot": { payload: SceneSetSlotCommand; reply: SceneSetSlotReply };
  /** Removes a slot; its clip goes too. */
  "scene.clearSlot": { payload: SceneClearSlotCommand; reply: SceneClearSlotReply };
  /** Writes the clips of a scene onto the timeline. */
  "scene.place": { payload: ScenePlaceCommand; reply: ScenePlaceReply };
  /** Lists scenes and slots. */
  "scene.list": { payload: SceneListCommand; reply: SceneListReply };
  /** Keeps the present state of a track or a clip as a variant of it. */
  "variant.create": { payload: VariantCreateCommand; reply: VariantCreateReply };
  /** Deletes a variant. The one that plays gives way to the original. */
  "variant.delete": { payload: VariantDeleteCommand; reply: VariantDeleteReply };
  /** Renames a variant. */
  "variant.rename": { payload: VariantRenameCommand; reply: VariantRenameReply };
  /** Chooses what plays. */
  "variant.activate": { payload: VariantActivateCommand; reply: VariantActivateReply };
  /** Writes a variant into the original, which becomes like it. */
  "variant.apply": { payload: VariantApplyCommand; reply: VariantApplyReply };
  /** Makes a branch whose tip has the variant in the place of its original, and goes there if asked. The present branch stays as it is. */
  "variant.promote": { payload: VariantPromoteCommand; reply: VariantPromoteReply };
  /** Compares two variants of one subject, or a variant with the original. */
  "variant.diff": { payload: VariantDiffCommand; reply: VariantDiffReply };
  /** Lists the variants of a track or a clip. */
  "variant.list": { payload: VariantListCommand; reply: VariantListReply };
  /** Brings a file into the project. */
  "media.import": { payload: MediaImportCommand; reply: MediaImportReply };
  /** Makes an item for a file that is in the project's `Media/` already. */
  "media.register": { payload: MediaRegisterCommand; reply: MediaRegisterReply };
  /** Reserves an item and a path for a recording or a render to come. It is `pending` and enters no commit. */
  "media.reserve": { payload: MediaReserveCommand; reply: MediaReserveReply };
  /** Says that the file of a reserved item is complete: it is read and hashed. */
  "media.finalise": { payload: MediaFinaliseCommand; reply: MediaFinaliseReply };
  /** Gives a reserved item up; its file is moved to the project's trash. */
  "media.discard": { payload: MediaDiscardCommand; reply: MediaDiscardReply };
  /** Renames an item, or sets attributes; null removes one. */
  "media.update": { payload: MediaUpdateCommand; reply: MediaUpdateReply };
  /** Takes items out of the project. Items in use stay, unless `force`: then their clips play silence. Files stay. */
  "media.remove": { payload: MediaRemoveCommand; reply: MediaRemoveReply };
  /** Moves an item's file, or changes between copy and reference. */
  "media.relocate": { payload: MediaRelocateCommand; reply: MediaRelocateReply };
  /** Finds missing files again, by name, size and content, under these folders. */
  "media.relink": { payload: MediaRelinkCommand; reply: MediaRelinkReply };
  /** Points an item at another file. With other content, everything that was derived from the old content is made anew. */
  "media.replace": { payload: MediaReplaceCommand; reply: MediaReplaceReply };
  /** Looks at the files again: which are there, which changed. */
  "media.refresh": { payload: MediaRefreshCommand; reply: MediaRefreshReply };
  /** Lists items. */
  "media.list": { payload: MediaListCommand; reply: MediaListReply };
  /** Tells everything about an item. */
  "media.details": { payload: MediaDetailsCommand; reply: MediaDetailsReply };
  /** Gives the peaks of a stretch of an item, for drawing. */
  "media.waveform": { payload: MediaWaveformCommand; reply: MediaWaveformReply };
  /** Adds a folder to the library and scans it. */
  "library.addRoot": { payload: LibraryAddRootCommand; reply: LibraryAddRootReply };
  /** Takes a folder out of the library. Files stay. */
  "library.removeRoot": { payload: LibraryRemoveRootCommand; reply: LibraryRemoveRootReply };
  /** Lists the folders of the library. */
  "library.roots": { payload: LibraryRootsCommand; reply: LibraryRootsReply };
  /** Scans folders again. */
  "library.scan": { payload: LibraryScanCommand; reply: LibraryScanReply };
  /** Searches by words, facets and ranges. */
  "library.search": { payload: LibrarySearchCommand; reply: LibrarySearchReply };
  /** Finds what sounds like an item. */
  "library.similar": { payload: LibrarySimilarCommand; reply: LibrarySimilarReply };
  /** Tags items or marks them. */
  "library.update": { payload: LibraryUpdateCommand; reply: LibraryUpdateReply };
  /** Gives the points of the map of sounds in a window. */
  "library.cloud": { payload: LibraryCloudCommand; reply: LibraryCloudReply };
  /** Plays an item without putting it into the project. */
  "library.preview": { payload: LibraryPreviewCommand; reply: LibraryPreviewReply };
  /** Ends a preview. */
  "library.stopPreview": { payload: LibraryStopPreviewCommand; reply: LibraryStopPreviewReply };
  /** Creates a kit, filled if media are given: one per key upwards. */
  "kit.create": { payload: KitCreateCommand; reply: KitCreateReply };
  /** Deletes a kit; media stay. */
  "kit.delete": { payload: KitDeleteCommand; reply: KitDeleteReply };
  /** Copies a kit. */
  "kit.duplicate": { payload: KitDuplicateCommand; reply: KitDuplicateReply };
  /** Renames a kit. */
  "kit.rename": { payload: KitRenameCommand; reply: KitRenameReply };
  /** Adds a zone. */
  "kit.addSlot": { payload: KitAddSlotCommand; reply: KitAddSlotReply };
  /** Changes a zone. */
  "kit.updateSlot": { payload: KitUpdateSlotCommand; reply: KitUpdateSlotReply };
  /** Removes a zone. */
  "kit.removeSlot": { payload: KitRemoveSlotCommand; reply: KitRemoveSlotReply };
  /** Cuts a media item at its onsets or in equal parts, and lays the parts out. */
  "kit.slice": { payload: KitSliceCommand; reply: KitSliceReply };
  /** Lists kits, or the zones of one. */
  "kit.list": { payload: KitListCommand; reply: KitListReply };
  /** Creates a workspace of pads. */
  "pad.create": { payload: PadCreateCommand; reply: PadCreateReply };
  /** Deletes a workspace. */
  "pad.delete": { payload: PadDeleteCommand; reply: PadDeleteReply };
  /** Says what a pad plays; null empties it. */
  "pad.assign": { payload: PadAssignCommand; reply: PadAssignReply };
  /** Plays or releases a pad. */
  "pad.trigger": { payload: PadTriggerCommand; reply: PadTriggerReply };
  /** Lists the workspaces. */
  "pad.list": { payload: PadListCommand; reply: PadListReply };
  /** Renders the mix to a file. */
  "rendering.render": { payload: RenderingRenderCommand; reply: RenderingRenderReply };
  /** Renders channels to one file each. */
  "rendering.stems": { payload: RenderingStemsCommand; reply: RenderingStemsReply };
  /** Renders tracks and plays the render in their place, until `unfreeze`. */
  "rendering.freeze": { payload: RenderingFreezeCommand; reply: RenderingFreezeReply };
  /** Plays tracks themselves again. The render stays in the media pool. */
  "rendering.unfreeze": { payload: RenderingUnfreezeCommand; reply: RenderingUnfreezeReply };
  /** Renders clips or tracks, before the fader, to new audio clips. One undo takes the clips back; the media stay in the pool. */
  "rendering.bounce": { payload: RenderingBounceCommand; reply: RenderingBounceReply };
  /** Renders a clip, a track or the mix to listen to: at half the rate, in pieces of a second, 30 s at most. A newer preview of the same client stops an older one. */
  "rendering.preview": { payload: RenderingPreviewCommand; reply: RenderingPreviewReply };
  /** Renders two revisions and writes A, B and A − B, only where they differ. */
  "rendering.audibleDiff": { payload: RenderingAudibleDiffCommand; reply: RenderingAudibleDiffReply };
  /** Tells where two revisions sound different, without writing files. */
  "rendering.compareAudio": { payload: RenderingCompareAudioCommand; reply: RenderingCompareAudioReply };
  /** Stops a render. Segments that are done stay in the cache. */
  "rendering.cancel": { payload: RenderingCancelCommand; reply: RenderingCancelReply };
  /** Tells how far a render is, and what it made. */
  "rendering.progress": { payload: RenderingProgressCommand; reply: RenderingProgressReply };
  /** Tells how full the render cache is. */
  "rendering.cacheInfo": { payload: RenderingCacheInfoCommand; reply: RenderingCacheInfoReply };
  /** Empties the render cache. It is rebuilt as it is needed. */
  "rendering.clearCache": { payload: RenderingClearCacheCommand; reply: RenderingClearCacheReply };
  /** Starts to record on all armed tracks, with count-in and punch as set. */
  "recording.start": { payload: RecordingStartCommand; reply: RecordingStartReply };
  /** Ends the recording; what was recorded becomes clips and takes. */
  "recording.stop": { payload: RecordingStopCommand; reply: RecordingStopReply };
  /** Keeps what was played lately although nothing was recording. */
  "recording.capture": { payload: RecordingCaptureCommand; reply: RecordingCaptureReply };
  /** Sets how automation is written: from moved parameters, while playing. */
  "recording.setAutomationMode": { payload: RecordingSetAutomationModeCommand; reply: RecordingSetAutomationModeReply };
  /** Tells what is being recorded. */
  "recording.status": { payload: RecordingStatusCommand; reply: RecordingStatusReply };
  /** Lists audio devices and MIDI ports. */
  "hardware.list": { payload: HardwareListCommand; reply: HardwareListReply };
  /** Chooses the audio device and how it runs. Falls back to the null device if it fails, and says so. */
  "hardware.choose": { payload: HardwareChooseCommand; reply: HardwareChooseReply };
  /** Opens or closes MIDI ports. */
  "hardware.setMidi": { payload: HardwareSetMidiCommand; reply: HardwareSetMidiReply };
  /** Says which device fills a role of the project on this machine. */
  "hardware.mapRole": { payload: HardwareMapRoleCommand; reply: HardwareMapRoleReply };
  /** Tells how the device runs. */
  "hardware.status": { payload: HardwareStatusCommand; reply: HardwareStatusReply };
  /** Opens a stream from the client: binary frames of kind `gesture`, with one sample per target, in this order. */
  "gesture.open": { payload: GestureOpenCommand; reply: GestureOpenReply };
  /** Adds and removes targets of an open stream. */
  "gesture.bind": { payload: GestureBindCommand; reply: GestureBindReply };
  /** Ends a stretch of movement: the last values become one edit. */
  "gesture.commit": { payload: GestureCommitCommand; reply: GestureCommitReply };
  /** Closes a stream, committing what was moved. */
  "gesture.close": { payload: GestureCloseCommand; reply: GestureCloseReply };
  /** Plays notes straight into a track, as a keyboard on the screen does. */
  "gesture.play": { payload: GesturePlayCommand; reply: GesturePlayReply };
  /** Opens a stream of meters. A frame has the samples of all channels; the layout says where each is. Frames may be lost; the sequence shows it. */
  "metering.open": { payload: MeteringOpenCommand; reply: MeteringOpenReply };
  /** Closes a stream of meters. */
  "metering.close": { payload: MeteringCloseCommand; reply: MeteringCloseReply };
  /** Takes held peaks and integrated loudness back to nothing. */
  "metering.reset": { payload: MeteringResetCommand; reply: MeteringResetReply };
  /** Gives levels once. */
  "metering.read": { payload: MeteringReadCommand; reply: MeteringReadReply };
  /** Forces a track or a node into a cohort, or lets Pulse decide again. */
  "cohort.setOverride": { payload: CohortSetOverrideCommand; reply: CohortSetOverrideReply };
  /** Says that an editor is open on a track or a node, which makes it live. */
  "cohort.setEditorOpen": { payload: CohortSetEditorOpenCommand; reply: CohortSetEditorOpenReply };
  /** Lists the members of the cohorts. */
  "cohort.list": { payload: CohortListCommand; reply: CohortListReply };
  /** Tells why something is live or not: the chain of reasons. */
  "cohort.explain": { payload: CohortExplainCommand; reply: CohortExplainReply };
  /** Lists installed plugins. */
  "plugin.list": { payload: PluginListCommand; reply: PluginListReply };
  /** Looks for plugins, each in a process of its own. */
  "plugin.scan": { payload: PluginScanCommand; reply: PluginScanReply };
  /** Marks a plugin, or says that it must not be loaded. */
  "plugin.update": { payload: PluginUpdateCommand; reply: PluginUpdateReply };
  /** Lists the presets of a plugin. */
  "plugin.presets": { payload: PluginPresetsCommand; reply: PluginPresetsReply };
  /** Loads a preset into an instance. */
  "plugin.loadPreset": { payload: PluginLoadPresetCommand; reply: PluginLoadPresetReply };
  /** Keeps an instance's state as a preset. */
  "plugin.savePreset": { payload: PluginSavePresetCommand; reply: PluginSavePresetReply };
  /** Starts an instance again whose process has died. */
  "plugin.restart": { payload: PluginRestartCommand; reply: PluginRestartReply };
  /** Opens the window of an instance. */
  "plugin.openEditor": { payload: PluginOpenEditorCommand; reply: PluginOpenEditorReply };
  /** Closes the window of an instance. */
  "plugin.closeEditor": { payload: PluginCloseEditorCommand; reply: PluginCloseEditorReply };
  /** Lists jobs, newest first. */
  "job.list": { payload: JobListCommand; reply: JobListReply };
  /** Tells about one job. */
  "job.get": { payload: JobGetCommand; reply: JobGetReply };
  /** Stops a job as soon as it can stop. */
  "job.cancel": { payload: JobCancelCommand; reply: JobCancelReply };
  /** Starts a failed job again. */
  "job.retry": { payload: JobRetryCommand; reply: JobRetryReply };
  /** Answers once a job is over, or after a time. */
  "job.wait": { payload: JobWaitCommand; reply: JobWaitReply };
  /** Reports on engine, store, clients and queues. */
  "diagnostics.report": { payload: DiagnosticsReportCommand; reply: DiagnosticsReportReply };
  /** Measures what each node costs, from now on or no longer. Off at first, because looking at the clock twice per node costs something itself. */
  "diagnostics.profile": { payload: DiagnosticsProfileCommand; reply: DiagnosticsProfileReply };
  /** Tells which nodes cost most, the worst first, as measured since `diagnostics.profile` was turned on. */
  "diagnostics.nodeLoads": { payload: DiagnosticsNodeLoadsCommand; reply: DiagnosticsNodeLoadsReply };
  /** Checks set-up and project and says what to do about what it finds. */
  "diagnostics.doctor": { payload: DiagnosticsDoctorCommand; reply: DiagnosticsDoctorReply };
  /** Checks every record, hash and reference of the project. */
  "diagnostics.check": { payload: DiagnosticsCheckCommand; reply: DiagnosticsCheckReply };
  /** Frees what nothing reaches any more. */
  "diagnostics.collectGarbage": { payload: DiagnosticsCollectGarbageCommand; reply: DiagnosticsCollectGarbageReply };
  /** Counts xruns and faults from zero again. */
  "diagnostics.resetCounters": { payload: DiagnosticsResetCountersCommand; reply: DiagnosticsResetCountersReply };
  /** Gives back what it was given. */
  "debug.echo": { payload: DebugEchoCommand; reply: DebugEchoReply };
  /** Sets how much is logged, as in `info,pulse_store=debug`. */
  "debug.setLogLevel": { payload: DebugSetLogLevelCommand; reply: DebugSetLogLevelReply };
  /** Answers with an error of this code. */
  "debug.simulateError": { payload: DebugSimulateErrorCommand; reply: DebugSimulateErrorReply };
  /** Gives the schema of a command, or of all. */
  "debug.schema": { payload: DebugSchemaCommand; reply: DebugSchemaReply };
  /** Tells hashes of the state, so that two runs can be compared. */
  "debug.stateHash": { payload: DebugStateHashCommand; reply: DebugStateHashReply };
  /** Writes every command to a file from which `pulse` can replay it. */
  "debug.logCommands": { payload: DebugLogCommandsCommand; reply: DebugLogCommandsReply };
}

export type CommandName = keyof Commands;

/** A client introduced itself. */
export interface ClientConnectedEvent {
  client: ClientInfo;
}

/** A client has gone. */
export interface ClientDisconnectedEvent {
  clientId: string;
  instanceId: string;
  /** `goodbye`, `closed`, `timedOut`, `tooSlow`, `protocol`. */
  reason: string;
}

/** Another client is the manager now, or none. */
export interface ClientManagerChangedEvent {
  clientId?: string | null;
}

/** Pulse ends. Clients should not connect again at once. */
export interface ClientStoppingEvent {
  reason?: string | null;
}

/** Events were left out because the client read too slowly. It has to read again what it shows; views resync by themselves. */
export interface ClientLaggedEvent {
  missed: number;
  /** The first position that is missing. */
  since?: Position | null;
  /** The subscription that has a gap; all of them when null. */
  subscription?: number | null;
}

/** The session moved on: a project is being loaded, saved, closed. */
export interface SessionChangedEvent {
  /** There are edits since the last commit. */
  dirty: boolean;
  project?: string | null;
  state: SessionState;
}

/** Something that everybody should know. */
export interface SessionWarningAddedEvent {
  warning: Warning;
}

/** A warning is over or was dismissed. */
export interface SessionWarningClearedEvent {
  id: string;
}

/** The audio engine started, stopped or failed. */
export interface SessionEngineChangedEvent {
  reason?: string | null;
  state: EngineState;
}

/** A project was opened. */
export interface ProjectOpenedEvent {
  info: ProjectInfo;
}

/** The project was closed. */
export interface ProjectClosedEvent {
  path: string;
}

/** The content of the project changed: by an edit, an undo, a switch, a merge. `base` is what the changes stand on. A client whose root is another one has missed something and reads again. */
export interface ProjectChangedEvent {
  baseRevision: number;
  baseRoot: Hash;
  changes: EntityChange[];
  /** `domain.name` of the command. */
  command: string;
  /** The list of changes is whole. Else they were too many: read again. */
  complete: boolean;
  contexts: HistoryContext[];
  /** What the history calls it. */
  label: string;
  revision: number;
  root: Hash;
}

/** A branch or a tag points elsewhere, is new or gone. */
export interface VersionMovedEvent {
  /** Null if it is gone. */
  commit?: Hash | null;
  name: string;
  tag: boolean;
}

/** Named versions of arrangements came or went. */
export interface ArrangementVersionsChangedEvent {
  arrangement: ArrangementId;
  /** Null if it is gone. */
  commit?: Hash | null;
  name: string;
}

/** Another branch or revision is the working copy. */
export interface VersionSwitchedEvent {
  branch?: string | null;
  root: Hash;
  to: Rev;
}

/** Conflicts were added or decided. */
export interface VersionConflictsChangedEvent {
  remaining: number;
}

/** What can be undone and redone changed. */
export interface HistoryChangedEvent {
  /** The client whose undo it is. */
  clientId?: string | null;
  /** The latest entry. */
  entry?: number | null;
}

/** A subscribed view, whole. */
export interface ViewStateEvent {
  state: ViewState;
  subscription: number;
}

/** What changed in a subscribed view. */
export interface ViewDeltaEvent {
  /** Hash of the content that the changes stand on. */
  base: Hash;
  changes: ViewChange[];
  /** Hash of the content afterwards. */
  hash: Hash;
  revision: number;
  root: Hash;
  subscription: number;
}

/** The transport started, stopped or jumped; while it plays, where it is. */
export interface TransportStateEvent {
  state: TransportState;
}

/** Somebody moves a parameter. It is no edit yet. */
export interface ParameterGestureEvent {
  /** It is held: `parameter.endGesture` has not come. */
  active: boolean;
  parameter: string;
  target: EntityId;
  value: number;
}

/** Who is rendered live changed. */
export interface CohortChangedEvent {
  anticipative: number;
  /** Hash of the new assignment; `cohort.list` gives it. */
  hash: Hash;
  live: number;
}

/** The samples of a meter stream mean something else from a frame on. */
export interface MeteringLayoutEvent {
  layout: MeterSlot[];
  /** First frame of the new layout. */
  sequence: number;
  stream: number;
}

/** Peaks for clients without binary streams. */
export interface MeteringLevelsEvent {
  levels: ChannelLevel[];
}

/** A job got further. */
export interface JobProgressEvent {
  job: Job;
}

/** A job is over, one way or another. */
export interface JobFinishedEvent {
  job: Job;
}

/** Files came or went. */
export interface MediaAvailabilityChangedEvent {
  available: MediaId[];
  missing: MediaId[];
}

/** The library has other content. */
export interface LibraryChangedEvent {
  items: number;
}

/** Recording started, stopped or was set differently. */
export interface RecordingChangedEvent {
  active: boolean;
}

/** The audio device, a MIDI port or a mapping changed, or a device went away. */
export interface HardwareChangedEvent {
  config: AudioConfig;
  /** The device was lost; the null device runs in its place. */
  lost: boolean;
}

/** The list of plugins changed. */
export interface PluginChangedEvent {
  count: number;
}

/** A node gave values that are no numbers, or failed, and is bypassed. */
export interface DiagnosticsFaultEvent {
  channel?: ChannelId | null;
  /** What the node is called, or its kind. */
  name: string;
  node: EntityId;
  reason: string;
  track?: TrackId | null;
  /** What the track is called. */
  trackName?: string | null;
}

/** The engine missed its time. */
export interface DiagnosticsXrunEvent {
  load: number;
  /** Since the engine started. */
  total: number;
}

/** A line of the log, for clients that subscribed to it. */
export interface DebugLogEvent {
  message: string;
  severity: Severity;
  /** Module that says it. */
  source: string;
}

export interface Events {
  /** A client introduced itself. */
  "client.connected": ClientConnectedEvent;
  /** A client has gone. */
  "client.disconnected": ClientDisconnectedEvent;
  /** Another client is the manager now, or none. */
  "client.managerChanged": ClientManagerChangedEvent;
  /** Pulse ends. Clients should not connect again at once. */
  "client.stopping": ClientStoppingEvent;
  /** Events were left out because the client read too slowly. It has to read again what it shows; views resync by themselves. */
  "client.lagged": ClientLaggedEvent;
  /** The session moved on: a project is being loaded, saved, closed. */
  "session.changed": SessionChangedEvent;
  /** Something that everybody should know. */
  "session.warningAdded": SessionWarningAddedEvent;
  /** A warning is over or was dismissed. */
  "session.warningCleared": SessionWarningClearedEvent;
  /** The audio engine started, stopped or failed. */
  "session.engineChanged": SessionEngineChangedEvent;
  /** A project was opened. */
  "project.opened": ProjectOpenedEvent;
  /** The project was closed. */
  "project.closed": ProjectClosedEvent;
  /** The content of the project changed: by an edit, an undo, a switch, a merge. `base` is what the changes stand on. A client whose root is another one has missed something and reads again. */
  "project.changed": ProjectChangedEvent;
  /** A branch or a tag points elsewhere, is new or gone. */
  "version.moved": VersionMovedEvent;
  /** Named versions of arrangements came or went. */
  "arrangement.versionsChanged": ArrangementVersionsChangedEvent;
  /** Another branch or revision is the working copy. */
  "version.switched": VersionSwitchedEvent;
  /** Conflicts were added or decided. */
  "version.conflictsChanged": VersionConflictsChangedEvent;
  /** What can be undone and redone changed. */
  "history.changed": HistoryChangedEvent;
  /** A subscribed view, whole. */
  "view.state": ViewStateEvent;
  /** What changed in a subscribed view. */
  "view.delta": ViewDeltaEvent;
  /** The transport started, stopped or jumped; while it plays, where it is. */
  "transport.state": TransportStateEvent;
  /** Somebody moves a parameter. It is no edit yet. */
  "parameter.gesture": ParameterGestureEvent;
  /** Who is rendered live changed. */
  "cohort.changed": CohortChangedEvent;
  /** The samples of a meter stream mean something else from a frame on. */
  "metering.layout": MeteringLayoutEvent;
  /** Peaks for clients without binary streams. */
  "metering.levels": MeteringLevelsEvent;
  /** A job got further. */
  "job.progress": JobProgressEvent;
  /** A job is over, one way or another. */
  "job.finished": JobFinishedEvent;
  /** Files came or went. */
  "media.availabilityChanged": MediaAvailabilityChangedEvent;
  /** The library has other content. */
  "library.changed": LibraryChangedEvent;
  /** Recording started, stopped or was set differently. */
  "recording.changed": RecordingChangedEvent;
  /** The audio device, a MIDI port or a mapping changed, or a device went away. */
  "hardware.changed": HardwareChangedEvent;
  /** The list of plugins changed. */
  "plugin.changed": PluginChangedEvent;
  /** A node gave values that are no numbers, or failed, and is bypassed. */
  "diagnostics.fault": DiagnosticsFaultEvent;
  /** The engine missed its time. */
  "diagnostics.xrun": DiagnosticsXrunEvent;
  /** A line of the log, for clients that subscribed to it. */
  "debug.log": DebugLogEvent;
}

export type EventName = keyof Events;

export type KnownErrorCode =
  | "batch.failed"
  | "batch.forbidden"
  | "client.helloRequired"
  | "client.helloTwice"
  | "client.limit"
  | "client.notManager"
  | "client.protocol"
  | "client.rateLimited"
  | "client.subscriptionUnknown"
  | "client.timedOut"
  | "client.tooSlow"
  | "client.unauthorised"
  | "command.notImplemented"
  | "command.unknown"
  | "conflict.stale"
  | "conflict.unresolved"
  | "debug.disabled"
  | "domain.unknown"
  | "entity.cycle"
  | "entity.inUse"
  | "entity.invalid"
  | "entity.notFound"
  | "entity.opaque"
  | "entity.wrongKind"
  | "envelope.idReused"
  | "envelope.invalid"
  | "envelope.kind"
  | "envelope.malformed"
  | "envelope.version"
  | "frame.binary"
  | "frame.empty"
  | "frame.lost"
  | "frame.tooLong"
  | "hardware.configuration"
  | "hardware.notFound"
  | "history.empty"
  | "history.notFound"
  | "internal.error"
  | "io.failed"
  | "io.full"
  | "job.finished"
  | "job.notFound"
  | "limit.reached"
  | "media.format"
  | "media.lifecycle"
  | "media.offline"
  | "media.unreadable"
  | "node.unknownKind"
  | "parameter.gesture"
  | "parameter.range"
  | "parameter.unknown"
  | "path.forbidden"
  | "payload.invalid"
  | "payload.notFinite"
  | "project.corrupt"
  | "project.dirty"
  | "project.draftPending"
  | "project.exists"
  | "project.locked"
  | "project.newer"
  | "project.notFound"
  | "project.readOnly"
  | "range.invalid"
  | "rendering.cancelled"
  | "rendering.impossible"
  | "rendering.mismatch"
  | "routing.cycle"
  | "routing.incompatible"
  | "routing.master"
  | "session.busy"
  | "session.shuttingDown"
  | "session.state"
  | "version.ambiguous"
  | "version.current"
  | "version.detached"
  | "version.exists"
  | "version.merging"
  | "version.name"
  | "version.notFound"
  | "version.nothing"
  | "view.invalid";

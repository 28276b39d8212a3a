import type { TrainingRows } from "../../features/rows.ts";
import type { Engine, TrainingStep } from "../engines/engine.ts";
import type { Fed } from "../graph/run-tfjs.ts";
import { type AdamMoments, type AdamOptions, adamMoments, adamStep } from "../optimisers/adam.ts";
import { Batch } from "./batches.ts";
import type { RankerNetwork } from "./ranker-network.ts";
import { featureColumns } from "./row-columns.ts";

export interface NetworkTrainerRequest {
  readonly network: RankerNetwork;
  readonly engine: Engine;
  readonly train: TrainingRows;
  /** Loss weight per head; 0 masks a head. */
  readonly headWeights: Float32Array;
  /** Share of each head's negatives that a step learns from: those of the network's loss. Default: all. */
  readonly negatives?: Float32Array | undefined;
  /** Rows per step. */
  readonly size: number;
  readonly seed: number;
  readonly adam: AdamOptions;
}

/** Takes single optimisation steps of one network: minibatch, loss and gradients, Adam, row-wise AdaGrad. */
export class NetworkTrainer {
  /** The network's weights as feeds by name: views, always current. */
  readonly parameters: Readonly<Record<string, Fed>>;
  readonly moments: ReadonlyMap<string, AdamMoments>;
  readonly #request: NetworkTrainerRequest;
  readonly #step: TrainingStep;
  readonly #batch: Batch;
  readonly #feeds: Readonly<Record<string, Fed>>;

  private constructor(request: NetworkTrainerRequest, step: TrainingStep) {
    const { network, train, headWeights, negatives, size, seed } = request;
    this.#request = request;
    this.#step = step;
    const parameters: Record<string, Fed> = {};
    const moments = new Map<string, AdamMoments>();
    for (const { name, shape } of network.parameters.list) {
      const data = network.parameters.weights.get(name) as Float32Array;
      parameters[name] = { data, shape };
      moments.set(name, adamMoments(data.length));
    }
    this.parameters = parameters;
    this.moments = moments;
    this.#batch = new Batch(
      size,
      {
        columns: featureColumns(train, network.featureNames),
        kinds: network.kinds,
        headWeights,
        negatives,
        embeddings: network.embeddings,
        dropout: network.dropout,
      },
      seed,
    );
    this.#feeds = { ...parameters, ...this.#batch.feeds };
  }

  static async create(request: NetworkTrainerRequest): Promise<NetworkTrainer> {
    const { network, engine } = request;
    const wrt = [...network.parameters.values, ...(network.embedded ? [network.embedded] : [])];
    return new NetworkTrainer(request, await engine.trainingStep(network.loss, wrt));
  }

  /**
   * Trains on rows `order[from …]`. `step` counts from 0 and seeds what is random in it; `rate` is Adam's learning rate,
   * `idScale` the share of the id tables' own rate. Returns the loss before the update.
   */
  async step(
    order: Int32Array,
    from: number,
    step: number,
    rate: number,
    idScale: number,
  ): Promise<number> {
    const { network, train, seed, adam } = this.#request;
    this.#batch.fill(train, order, from, seed, step);
    const { loss, gradients } = await this.#step.run(this.#feeds);
    network.parameters.list.forEach(({ name, shape }, i) => {
      adamStep(
        network.parameters.weights.get(name) as Float32Array,
        gradients[i] as Float32Array,
        this.moments.get(name) as AdamMoments,
        step + 1,
        rate,
        adam,
        // Biases and norms are not pulled towards 0: they carry base rates and scales.
        shape.length > 1 ? adam.weightDecay : 0,
      );
    });
    if (network.embedded)
      network.embeddings?.optimiser.step(
        this.#batch.idRows,
        gradients.at(-1) as Float32Array,
        idScale,
      );
    return loss;
  }

  release(): Promise<void> {
    return this.#step.release();
  }
}

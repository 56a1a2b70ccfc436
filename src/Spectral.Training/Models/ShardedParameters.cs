using Spectral.Kernels;
using Spectral.Training.Distributed;
using Spectral.Training.Distributed.Sharding;
using Spectral.Training.IO;
using Spectral.Training.Optim;

namespace Spectral.Training.Models;

/// <summary>
/// Creates the weights of a model of which each rank keeps a part: of frozen ones in the compute type, of trained ones
/// F32 masters as well.
/// </summary>
internal static class ShardedParameters
{
    /// <summary>The number of elements converted at a time while loading.</summary>
    private const int Piece = 1 << 22;

    /// <summary>Loads this rank's part of each unit. Nothing else of the files is read.</summary>
    /// <param name="folder">The model's folder.</param>
    /// <param name="device">The device of this rank.</param>
    /// <param name="dtype">The compute type.</param>
    /// <param name="trains">Whether all weights train.</param>
    /// <param name="ranks">The ranks, two or more.</param>
    /// <exception cref="InputException">A weight is kept in a quantised form.</exception>
    public static ModelParameters Load(ModelFolder folder, Device device, DType dtype, bool trains, RankGroup ranks)
    {
        if (!trains && folder.QuantizedWeights > 0)
        {
            throw new InputException(
                $"--shard: the linear layers are kept as {folder.WeightForm}, whose codes are not divided between "
                    + "ranks; expected weights in F32, BF16 or F16 and no --quantize"
            );
        }

        float[] buffer = new float[Piece];
        return Create(folder.Config, device, dtype, trains, ranks, Read);

        void Read(TensorSpec tensor, long first, Tensor own)
        {
            SafetensorsTensor stored = folder[tensor.Name];
            for (int done = 0; done < own.Count; done += Piece)
            {
                Span<float> part = buffer.AsSpan(0, (int)Math.Min(Piece, own.Count - done));
                stored.ReadFloats(first + done, part);
                using Tensor target = own.Rows(done, part.Length);
                target.CopyFrom(part);
            }
        }
    }

    /// <summary>Draws the weights of a new model that trains, and keeps this rank's part of each unit.</summary>
    /// <inheritdoc cref="Load"/>
    /// <param name="config">The sizes and options of the model.</param>
    /// <param name="device">The device of this rank.</param>
    /// <param name="dtype">The compute type.</param>
    /// <param name="seed">The seed.</param>
    /// <param name="ranks">The ranks, two or more.</param>
    public static ModelParameters Initialize(
        ModelConfig config,
        Device device,
        DType dtype,
        ulong seed,
        RankGroup ranks
    ) =>
        Create(
            config,
            device,
            dtype,
            trains: true,
            ranks,
            (tensor, first, own) =>
            {
                using var whole = Tensor.Empty(device, ShapeOf(tensor));
                ModelParameters.Draw(tensor, whole, seed, config);
                using Tensor flat = whole.View(checked((int)whole.Count));
                using Tensor part = flat.Rows(checked((int)first), checked((int)own.Count));
                own.CopyFrom(part);
            }
        );

    private static ModelParameters Create(
        ModelConfig config,
        Device device,
        DType dtype,
        bool trains,
        RankGroup ranks,
        Action<TensorSpec, long, Tensor> fill
    )
    {
        IReadOnlyList<TensorSpec>[] units = [.. ModelTensors.Units(config)];
        var shards = new ShardedWeights(device, ranks, units.Select(unit => unit.Select(ShapeOf).ToArray()));
        ParameterSet? trained = null;
        try
        {
            if (trains)
            {
                trained = new ParameterSet(
                    device,
                    shards.Units.Select(unit => ($"shard.{unit.Number}", (Shape)unit.Part)),
                    dtype
                )
                {
                    Shards = shards,
                };
                // What was gathered has the old values.
                trained.Changed += shards.Close;
            }

            var parameters = new List<Parameter>();
            for (int i = 0; i < units.Length; i++)
            {
                ShardedUnit unit = shards.Units[i];
                Parameter? own = trained?.Parameters[i];
                unit.Own = own is null ? Tensor.Zeros(device, unit.Part, dtype) : own.Value.Share();
                if (own is not null)
                    unit.OwnGradient = () => own.Gradient;
                Fill(unit, units[i], own?.Master ?? unit.Own, fill);
                parameters.AddRange(
                    units[i]
                        .Select((tensor, j) => new Parameter(tensor.Name, new ShardedTensor(unit, j, ShapeOf(tensor))))
                );
            }

            trained?.NotifyChanged();
            return new ModelParameters(parameters, trained, shards);
        }
        catch
        {
            trained?.Dispose();
            shards.Dispose();
            throw;
        }
    }

    private static void Fill(
        ShardedUnit unit,
        IReadOnlyList<TensorSpec> tensors,
        Tensor part,
        Action<TensorSpec, long, Tensor> fill
    )
    {
        for (int i = 0; i < tensors.Count; i++)
        {
            (long first, int place, int count) = unit.OwnOf(i);
            if (count == 0)
                continue;
            using Tensor own = part.Rows(place, count);
            fill(tensors[i], first, own);
        }
    }

    private static Shape ShapeOf(TensorSpec tensor) =>
        Shape.Of([.. tensor.Shape.Select(dimension => checked((int)dimension))]);
}

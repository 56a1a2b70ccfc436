using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Distributed;
using Spectral.Training.Distributed.Sharding;
using Spectral.Training.IO;
using Spectral.Training.Optim;
using Spectral.Training.Quantization;

namespace Spectral.Training.Models;

/// <summary>
/// Creates the weights of a model of which each rank keeps a part: of frozen ones in the compute type, of trained ones
/// F32 masters as well.
/// </summary>
internal static class ShardedParameters
{
    /// <summary>The number of elements converted at a time while loading.</summary>
    private const int Piece = 1 << 22;

    /// <summary>How a quantised matrix is kept, and what makes the whole one, which the caller disposes.</summary>
    private sealed record Quantized(QuantizedForm Form, Func<QuantizedMatrix> Make);

    /// <summary>
    /// Loads this rank's part of each unit. Nothing else of the files is read, except that quantised matrices are read
    /// or made whole, one at a time: their scales are of blocks, which parts would cut.
    /// </summary>
    /// <param name="folder">The model's folder.</param>
    /// <param name="device">The device of this rank.</param>
    /// <param name="dtype">The compute type.</param>
    /// <param name="trains">Whether all weights train.</param>
    /// <param name="ranks">The ranks, two or more.</param>
    public static ModelParameters Load(ModelFolder folder, Device device, DType dtype, bool trains, RankGroup ranks)
    {
        float[] buffer = new float[Piece];
        return Create(
            folder.Config,
            device,
            dtype,
            trains,
            ranks,
            Read,
            trains
                ? null
                : tensor =>
                    folder.FormOf(tensor.Name) is { } form
                        ? new(form, () => folder.ReadQuantized(folder.Untied(tensor.Name), device)!)
                        : null
        );

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

    /// <summary>
    /// Creates parts whose values are those of fresh memory, of frozen weights or of some that train.
    /// </summary>
    /// <inheritdoc cref="Load"/>
    /// <param name="config">The sizes and options of the model.</param>
    /// <param name="device">The device of this rank.</param>
    /// <param name="dtype">The compute type.</param>
    /// <param name="trains">Whether all weights train.</param>
    /// <param name="quantization">The form of frozen linear layers; null: the compute type.</param>
    /// <param name="ranks">The ranks, two or more.</param>
    public static ModelParameters Unset(
        ModelConfig config,
        Device device,
        DType dtype,
        bool trains,
        BaseQuantization? quantization,
        RankGroup ranks
    )
    {
        IReadOnlySet<string> quantized =
            quantization is null || trains ? new HashSet<string>() : ModelTensors.Quantizable(config);
        return Create(
            config,
            device,
            dtype,
            trains,
            ranks,
            (_, _, _) => { },
            tensor =>
                quantized.Contains(tensor.Name)
                    ? new(quantization!.Form, () => quantization.Unset(tensor.Shape, device))
                    : null
        );
    }

    private static ModelParameters Create(
        ModelConfig config,
        Device device,
        DType dtype,
        bool trains,
        RankGroup ranks,
        Action<TensorSpec, long, Tensor> fill,
        Func<TensorSpec, Quantized?>? quantized = null
    )
    {
        (TensorSpec[] Plain, (TensorSpec Tensor, Quantized Matrix)[] Matrices)[] units =
        [
            .. ModelTensors
                .Units(config)
                .Select(unit => unit.Select(tensor => (Tensor: tensor, Matrix: quantized?.Invoke(tensor))).ToArray())
                .Select(unit =>
                    (
                        unit.Where(entry => entry.Matrix is null).Select(entry => entry.Tensor).ToArray(),
                        unit.Where(entry => entry.Matrix is not null)
                            .Select(entry => (entry.Tensor, entry.Matrix!))
                            .ToArray()
                    )
                ),
        ];
        var shards = new ShardedWeights(
            device,
            ranks,
            units.Select(unit =>
                (
                    (IReadOnlyList<Shape>)[.. unit.Plain.Select(ShapeOf)],
                    (IReadOnlyList<long[]>)
                        [.. unit.Matrices.Select(entry => entry.Matrix.Form.PartBytes(ShapeOf(entry.Tensor)))]
                )
            )
        );
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
                (TensorSpec[] plain, (TensorSpec Tensor, Quantized Matrix)[] matrices) = units[i];
                Fill(unit, plain, own?.Master ?? unit.Own, fill);
                parameters.AddRange(
                    plain.Select((tensor, j) => new Parameter(tensor.Name, new ShardedTensor(unit, j, ShapeOf(tensor))))
                );
                for (int j = 0; j < matrices.Length; j++)
                {
                    using QuantizedMatrix whole = matrices[j].Matrix.Make();
                    unit.Matrices!.Fill(j, whole);
                    var place = new ShardedMatrix(unit, j, whole.Bytes / ranks.Count);
                    TensorSpec tensor = matrices[j].Tensor;
                    parameters.Add(new Parameter(tensor.Name, place, ShapeOf(tensor), dtype));
                }
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

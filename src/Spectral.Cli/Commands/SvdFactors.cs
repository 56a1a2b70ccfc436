using System.Diagnostics;
using System.Text.Json.Nodes;
using Spectral.Cli.Output;
using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Kernels.Ops;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Cli.Commands;

/// <summary>
/// Computes the factors of many stored matrices while they are written. Each window of neighbouring tensors is read,
/// decomposed in batches of one shape, and released once written, so that memory holds one window of weights (1 GiB on
/// the device) and its factors, whatever the size of the model.
/// </summary>
/// <param name="tensors">The matrices.</param>
/// <param name="folder">The model that they belong to, which may keep them quantised; null: none.</param>
/// <param name="device">The device that decomposes.</param>
/// <param name="type">The compute type.</param>
/// <param name="rank">The number of triplets of each matrix.</param>
/// <param name="options">How to decompose.</param>
/// <param name="cancellation">Checked between batches.</param>
internal sealed class SvdFactors(
    IReadOnlyList<SafetensorsTensor> tensors,
    ModelFolder? folder,
    Device device,
    DType type,
    int rank,
    RandomizedSvdOptions options,
    CancellationToken cancellation
) : IDisposable
{
    private const long WindowBytes = 1L << 30;

    private readonly JsonObject[] _rows = new JsonObject[tensors.Count];

    // The tensors in the order in which the writer asks for their first factors.
    private readonly Queue<int> _waiting = new(
        Enumerable.Range(0, tensors.Count).OrderBy(i => tensors[i].Name + ".S", StringComparer.Ordinal)
    );
    private readonly Dictionary<int, float[]> _ready = [];
    private int _decomposed;

    /// <summary>Raised for every tensor that is decomposed, with the number of tensors so far and its name.</summary>
    public event Action<int, string>? Decomposed;

    /// <summary>Returns NAME.U, NAME.S and NAME.Vt of every tensor; they are computed when they are written.</summary>
    public IReadOnlyList<TensorToWrite> ToWrite() =>
        [
            .. tensors.SelectMany(
                (tensor, i) =>
                    new[]
                    {
                        TensorToWrite.Floats(
                            tensor.Name + ".U",
                            StoredType.F32,
                            [tensor.Shape[0], rank],
                            () => Take(i, 0)
                        ),
                        TensorToWrite.Floats(tensor.Name + ".S", StoredType.F32, [rank], () => Take(i, 1)),
                        TensorToWrite.Floats(
                            tensor.Name + ".Vt",
                            StoredType.F32,
                            [rank, tensor.Shape[1]],
                            () => Take(i, 2)
                        ),
                    }
            ),
        ];

    /// <summary>Returns a JSON object for each tensor, in their order, once all are written.</summary>
    public JsonArray Rows() => new([.. _rows]);

    public void Dispose() => _ready.Clear();

    private float[] Take(int tensor, int factor)
    {
        int key = 3 * tensor + factor;
        while (!_ready.ContainsKey(key))
            NextWindow();
        _ready.Remove(key, out float[]? values);
        return values!;
    }

    private void NextWindow()
    {
        var window = new List<int>();
        for (
            long bytes = 0;
            _waiting.TryPeek(out int next) && (bytes == 0 || bytes + tensors[next].Count * type.Size() <= WindowBytes);
            bytes += tensors[next].Count * type.Size()
        )
        {
            window.Add(_waiting.Dequeue());
        }

        foreach (
            IGrouping<(long Rows, long Columns), int> shape in window.GroupBy(i =>
                (tensors[i].Shape[0], tensors[i].Shape[1])
            )
        )
        {
            foreach (
                int[] batch in shape.Chunk(
                    RandomizedSvd.BatchSize(device, (int)shape.Key.Rows, (int)shape.Key.Columns, rank, options)
                )
            )
            {
                Decompose(batch);
            }
        }
    }

    // The tensors have one shape. The clock starts after reading and stops before the factors are copied back.
    private void Decompose(int[] batch)
    {
        cancellation.ThrowIfCancellationRequested();
        var matrices = new List<FrozenWeight>();
        var own = new List<IDisposable>();
        SvdResult[] results = [];
        try
        {
            foreach (int i in batch)
                matrices.Add(Read(tensors[i], own));
            device.Synchronize();
            long start = Stopwatch.GetTimestamp();
            results = RandomizedSvd.Compute(matrices, rank, options);
            device.Synchronize();
            double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds / batch.Length;
            for (int b = 0; b < batch.Length; b++)
            {
                int i = batch[b];
                (_ready[3 * i], _ready[3 * i + 1], _ready[3 * i + 2]) = (
                    results[b].U.ToArray(),
                    results[b].S.ToArray(),
                    results[b].Vt.ToArray()
                );
                _rows[i] = new JsonObject
                {
                    ["name"] = tensors[i].Name,
                    ["shape"] = JsonOutput.Array([(int)tensors[i].Shape[0], (int)tensors[i].Shape[1]]),
                    ["rank"] = rank,
                    ["seconds"] = JsonOutput.Number(seconds),
                    ["residual_bound"] = JsonOutput.Number(results[b].ResidualBound),
                };
                Decomposed?.Invoke(++_decomposed, tensors[i].Name);
            }
        }
        finally
        {
            foreach (IDisposable matrix in own)
                matrix.Dispose();
            foreach (SvdResult result in results)
                result.Dispose();
        }
    }

    // A weight that the model keeps quantised stays so; what is made joins what is disposed.
    private FrozenWeight Read(SafetensorsTensor tensor, List<IDisposable> own)
    {
        if (folder?.ReadQuantized(tensor, device) is { } quantized)
        {
            own.Add(quantized);
            return quantized;
        }

        Tensor matrix = ReadDense(tensor);
        own.Add(matrix);
        return matrix;
    }

    // BF16 weights are copied to the device as they are if it computes in BF16.
    private Tensor ReadDense(SafetensorsTensor tensor)
    {
        Shape shape = ((int)tensor.Shape[0], (int)tensor.Shape[1]);
        if (
            tensor.Computed is not null
            || tensor.Type != StoredType.BF16
            || type != DType.BF16
            || tensor.Bytes > int.MaxValue
            || !BitConverter.IsLittleEndian
        )
        {
            return Tensor.From(device, tensor.ToFloats(), shape, type);
        }

        tensor.RequireFinite();
        var matrix = Tensor.Empty(device, shape, type);
        matrix.CopyFrom(tensor.Data);
        return matrix;
    }
}

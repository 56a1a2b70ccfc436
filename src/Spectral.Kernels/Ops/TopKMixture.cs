using System.Runtime.CompilerServices;
using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Mixes rows from a bank of vectors (VB-LoRA, arXiv 2405.15179): each row from the k vectors with its largest logits,
/// weighted by their softmax. Of equal logits the first is taken; a NaN among them makes the row NaN.
/// </summary>
public static class TopKMixture
{
    /// <summary>Largest number of vectors that a row is mixed from.</summary>
    public const int MostChosen = 8;

    /// <summary>Chooses for each row of logits its k largest and their softmax.</summary>
    /// <param name="logits">[p, n] F32.</param>
    /// <param name="index">[p, k] I32, k from 1 to n and <see cref="MostChosen"/>; written, the largest first.</param>
    /// <param name="weight">[p, k] F32; written.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Select(Tensor logits, Tensor index, Tensor weight)
    {
        Check.Operand(logits, DType.F32, [-1, -1]);
        (int pieces, int n) = (logits.Dim(0), logits.Dim(1));
        VerifyChoices(index, weight, pieces, n, logits);
        if (pieces == 0)
            return;
        var args = new TopKSelectArgs
        {
            Logits = logits.Pointer,
            Index = index.Pointer,
            Weight = weight.Pointer,
            Pieces = pieces,
            N = n,
            K = index.Dim(1),
        };
        TopKSelectArgs.Kernel.Launch(logits.Device, args, Launch.RowBlocks(pieces));
    }

    /// <summary>Computes <c>y[p, :] = Σ_t weight[p, t] · bank[index[p, t], :]</c>.</summary>
    /// <param name="bank">[n, length] F32.</param>
    /// <param name="index">[p, k] I32 from <see cref="Select"/>.</param>
    /// <param name="weight">[p, k] F32 likewise.</param>
    /// <param name="y">[p, length] F32; written.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Forward(Tensor bank, Tensor index, Tensor weight, Tensor y)
    {
        TopKMixtureArgs args = Arguments(bank, index, weight, y);
        if (y.Count == 0)
            return;
        args.Result = y.Pointer;
        TopKMixtureArgs.Forward.Launch(y.Device, args, Launch.Blocks(y.Count, Launch.FlatThreads));
    }

    /// <summary>
    /// Computes the gradient of the logits: that of the softmax for the chosen ones, none for the others.
    /// </summary>
    /// <param name="bank">Bank [n, length] F32, as in <see cref="Forward"/>.</param>
    /// <param name="index">Choices [p, k] I32 from <see cref="Select"/>.</param>
    /// <param name="weight">Their weights [p, k] F32 from <see cref="Select"/>.</param>
    /// <param name="dy">[p, length] F32.</param>
    /// <param name="dLogits">[p, n] F32.</param>
    /// <param name="accumulate">Whether it is added to what dLogits holds.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void BackwardLogits(
        Tensor bank,
        Tensor index,
        Tensor weight,
        Tensor dy,
        Tensor dLogits,
        bool accumulate = false
    )
    {
        TopKMixtureArgs args = Arguments(bank, index, weight, dy);
        Check.Operand(dLogits, bank, [dy.Dim(0), bank.Dim(0)]);
        if (dLogits.Count == 0)
            return;
        (args.Dy, args.Result, args.Accumulate) = (dy.Pointer, dLogits.Pointer, accumulate ? 1 : 0);
        TopKMixtureArgs.BackwardLogits.Launch(dy.Device, args, Launch.RowBlocks(args.Pieces));
    }

    /// <summary>
    /// Computes <c>dBank[j, :] = Σ weight[p, t] · dy[p, :] (+ dBank[j, :])</c> over the choices of j, in order of p,
    /// then t.
    /// </summary>
    /// <param name="index">Choices [p, k] I32 from <see cref="Select"/>.</param>
    /// <param name="weight">Their weights [p, k] F32 from <see cref="Select"/>.</param>
    /// <param name="dy">[p, length] F32.</param>
    /// <param name="dBank">[n, length] F32.</param>
    /// <param name="accumulate">Whether it is added to what dBank holds.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void BackwardBank(Tensor index, Tensor weight, Tensor dy, Tensor dBank, bool accumulate = false)
    {
        TopKMixtureArgs args = Arguments(dBank, index, weight, dy);
        if (dBank.Count == 0)
            return;
        (args.Dy, args.Result, args.Accumulate) = (dy.Pointer, dBank.Pointer, accumulate ? 1 : 0);
        TopKMixtureArgs.BackwardBank.Launch(dy.Device, args, Launch.Blocks(dBank.Count, Launch.FlatThreads));
    }

    private static TopKMixtureArgs Arguments(
        Tensor bank,
        Tensor index,
        Tensor weight,
        Tensor rows,
        [CallerArgumentExpression(nameof(bank))] string bankName = "",
        [CallerArgumentExpression(nameof(rows))] string rowsName = ""
    )
    {
        Check.Operand(bank, DType.F32, [-1, -1], bankName);
        Check.Operand(rows, bank, [-1, bank.Dim(1)], rowsName, bankName);
        VerifyChoices(index, weight, rows.Dim(0), bank.Dim(0), bank);
        return new TopKMixtureArgs
        {
            Bank = bank.Pointer,
            Index = index.Pointer,
            Weight = weight.Pointer,
            Pieces = rows.Dim(0),
            N = bank.Dim(0),
            Length = bank.Dim(1),
            K = index.Dim(1),
        };
    }

    private static void VerifyChoices(Tensor index, Tensor weight, int pieces, int n, Tensor like)
    {
        Check.Operand(index, like, DType.I32, [pieces, -1]);
        int k = index.Dim(1);
        if (k < 1 || k > n || k > MostChosen)
        {
            throw new ArgumentException(
                $"{k} of {n} vectors are to be chosen, expected 1 to {Math.Min(n, MostChosen)}",
                nameof(index)
            );
        }

        Check.Operand(weight, like, DType.F32, [pieces, k]);
    }
}

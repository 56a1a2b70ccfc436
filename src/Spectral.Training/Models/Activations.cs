using Spectral.Kernels.Ops;
using Spectral.Training.Autograd;

namespace Spectral.Training.Models;

/// <summary>Records activations, by themselves or as gates.</summary>
internal static class Activations
{
    /// <summary>The activations that there are without a gate.</summary>
    public static IReadOnlyList<Activation> Plain { get; } = [Activation.GeluTanh, Activation.Gelu];

    /// <summary>Computes f(gate) ∘ up, all [N, F], in rows <paramref name="stride"/> elements apart.</summary>
    public static Variable Gate(Tape tape, Activation activation, Variable gate, Variable up, int stride) =>
        activation == Activation.Silu
            ? SwiGluNode.Apply(tape, gate, up, stride)
            : GeluNode.Apply(tape, FormOf(activation), gate, up, stride);

    /// <summary>Computes f(x) of x [N, F], in rows <paramref name="stride"/> elements apart.</summary>
    /// <exception cref="ArgumentException">The activation is not one of <see cref="Plain"/>.</exception>
    public static Variable Apply(Tape tape, Activation activation, Variable x, int stride) =>
        GeluNode.Apply(tape, FormOf(activation), x, null, stride);

    private static GeluForm FormOf(Activation activation) =>
        activation switch
        {
            Activation.Gelu => GeluForm.Exact,
            Activation.GeluTanh => GeluForm.Tanh,
            _ => throw new ArgumentException(
                $"the activation is {activation}, expected {string.Join(" or ", Plain)}",
                nameof(activation)
            ),
        };
}

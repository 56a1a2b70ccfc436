using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Autograd;
using Spectral.Training.Models;

namespace Spectral.Training.Adapters;

/// <summary>The virtual tokens of an attached soft prompt, in the model's compute type.</summary>
internal sealed class BoundPrompt : IVirtualTokens, IDisposable
{
    private readonly AdaptedModule _module;
    private readonly Expression _tokens;
    private readonly ExpressionGraph _graph;

    /// <summary>Computes the tokens from the current values of the factors.</summary>
    /// <param name="model">The model.</param>
    /// <param name="module">The soft prompt, whose form is the tokens, one per row.</param>
    /// <param name="isPrefix">Whether they are keys and values of all layers; otherwise they are embeddings.</param>
    public BoundPrompt(CausalLanguageModel model, AdaptedModule module, bool isPrefix)
    {
        (_module, _tokens) = (module, module.Form.VirtualTokens!);
        _graph = new ExpressionGraph([_tokens], long.MaxValue);
        Values = Tensor.Empty(model.Device, _tokens.Shape, model.DType);
        PrefixRotary = isPrefix ? new RotaryTables(model.Device, model.Config, _tokens.Shape[0]) : null;
        Cast.Run(_tokens.Value, Values);
    }

    /// <inheritdoc/>
    public Tensor Values { get; }

    /// <inheritdoc/>
    public RotaryTables? PrefixRotary { get; }

    /// <summary>Computes the tokens again after factors have changed.</summary>
    /// <param name="all">Whether those that do not train may have changed too.</param>
    public void Refresh(bool all)
    {
        _graph.Renew(all);
        Cast.Run(_tokens.Value, Values);
    }

    /// <inheritdoc/>
    public Node? Record(Tape tape) => tape.Records && _module.Trains ? tape.Record(new TokensNode(this)) : null;

    /// <inheritdoc/>
    public void Dispose()
    {
        _graph.Clear();
        Values.Dispose();
        PrefixRotary?.Dispose();
    }

    /// <summary>
    /// Collects what all uses of the tokens on a tape contribute to their gradient, and passes it on to the factors
    /// once, as the last operation of backward.
    /// </summary>
    private sealed class TokensNode(BoundPrompt prompt) : Node
    {
        public override string Name => "VirtualTokens";

        protected override void Backward(Tensor gradient)
        {
            Tensor buffer = prompt._tokens.GradientBuffer(out bool accumulate)!;
            if (accumulate)
                Add.Forward(buffer, gradient, buffer);
            else
                buffer.CopyFrom(gradient);
            prompt._graph.Backward();
        }
    }
}
